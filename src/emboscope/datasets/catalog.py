"""The data sets that the package knows of: their files, sums, and how to get them."""

from dataclasses import dataclass

from emboscope.registry import Registry


@dataclass(frozen=True)
class RemoteFile:
    """One file of a data set.

    Attributes
    ----------
    name : str
        File name in the data folder.
    url : str
        Empty where the user has to fetch it.
    md5, sha256 : str
        Published sums; those known are checked.
    size : int, optional
        Bytes.
    text : bool
        Whether a copy whose lines end in CR LF is the same file.
    """

    name: str
    url: str = ""
    md5: str = ""
    sha256: str = ""
    size: int | None = None
    text: bool = False


@dataclass(frozen=True)
class Entry:
    """A data set that the package knows of.

    Attributes
    ----------
    title, licence : str
    remote : tuple of RemoteFile
    shipped : str
        File in the package; nothing has to be fetched then.
    packed : str
        One file that holds all of it and is taken where it lies in the data folder.
    sha256 : str
        Of the shipped or packed file.
    by_hand : str
        What the user does where a download needs an account; `{folder}` is where to put it.
    records : str
        Subfolder of the data folder in which the records of a WFDB data set lie.
    address : str
        Folder of the publisher that holds these records, with a slash at the end.
    """

    title: str
    licence: str
    remote: tuple[RemoteFile, ...] = ()
    shipped: str = ""
    packed: str = ""
    sha256: str = ""
    by_hand: str = ""
    records: str = ""
    address: str = ""


_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_BONN = "https://www.ukbonn.de/site/assets/files/"
_PHYSIONET = "https://physionet.org/files/"


def _kaggle(first: str, second: str, records: str) -> str:
    """How the heartbeats in CSV files are got."""
    return (
        "Download it with your Kaggle account from "
        f"https://www.kaggle.com/datasets/shayanfazeli/heartbeat and put {first} and {second} into "
        f"{{folder}}; or run: emboscope data fetch {records}, the records, with patients"
    )


CATALOG: Registry[Entry] = Registry("data set")
CATALOG["esr"] = Entry(
    "Epileptic Seizure Recognition, EEG",
    "CC BY 4.0",
    shipped="esr.npz",
    sha256="84e674ba10411ec164b0eaab65f1cf67e6d6c4fd0a6dcd4de035f9c97a896a75",
)
CATALOG["tcd_dwl"] = Entry(
    "Transcranial Doppler with probe taps",
    "public domain",
    shipped="tcd_dwl_hits.npz",
    sha256="a920fb8ff348b5ef681c6b354c9946400c613670a025a8c3b3d1a2368fb32e69",
)
CATALOG["mnist"] = Entry(
    "MNIST, handwritten digits",
    "usually given as CC BY-SA 3.0",
    tuple(
        RemoteFile(f"{name}-ubyte.gz", f"{_MNIST}{name}-ubyte.gz", md5)
        for name, md5 in (
            ("train-images-idx3", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            ("train-labels-idx1", "d53e105ee54ea40749a09fcbcd1e9432"),
            ("t10k-images-idx3", "9fb629c4189551a2d022fa330f9573f3"),
            ("t10k-labels-idx1", "ec29112dd5afa0611ce80d1b7f02629c"),
        )
    ),
    packed="mnist.npz",
    sha256="06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64",
)
CATALOG["bonn"] = Entry(
    "Bonn EEG, the originals of esr",
    "see the publisher",
    tuple(
        RemoteFile(f"{name}.zip", f"{_BONN}{number}/{name}.zip")
        for number, name in ((21874, "z"), (21872, "o"), (21871, "n"), (21870, "f"), (21875, "s"))
    ),
)
CATALOG["ptb"] = Entry(
    "PTB heartbeats, ECG (Kaggle form)",
    "ODC-By 1.0",
    (
        RemoteFile(
            "ptbdb_normal.csv",
            sha256="033d355e76e9f65f692fa398c5b24e357d004fab328c97db5160591a2eafe48c",
            size=19_016_200,
            text=True,
        ),
        RemoteFile(
            "ptbdb_abnormal.csv",
            sha256="27b4a37cd6dbcede0900cde3df02291f21e7538085d54e6b33abb91f4a5cf912",
            size=49_378_200,
            text=True,
        ),
    ),
    by_hand=_kaggle("ptbdb_normal.csv", "ptbdb_abnormal.csv", "ptbdb"),
)
CATALOG["mitbih"] = Entry(
    "MIT-BIH heartbeats, ECG (Kaggle form)",
    "ODC-By 1.0",
    (
        RemoteFile(
            "mitbih_train.csv",
            sha256="ae4c80504ad1d0be5c3f1b3c6ef02851e4d1b05d05805fce2a73374f083a700e",
            size=411_503_800,
            text=True,
        ),
        RemoteFile(
            "mitbih_test.csv",
            sha256="f3fdb3fd318275e653fac082b617d8c1ef09fca619a0606dc22c863451c77333",
            size=102_892_400,
            text=True,
        ),
    ),
    by_hand=_kaggle("mitbih_train.csv", "mitbih_test.csv", "mitdb"),
)
CATALOG["mitdb"] = Entry(
    "MIT-BIH arrhythmia, with patients (doi 10.13026/C2F305)",
    "ODC-By 1.0",
    records="mitdb",
    address=f"{_PHYSIONET}mitdb/1.0.0/",
)
CATALOG["ptbdb"] = Entry(
    "PTB diagnostic ECG (doi 10.13026/C28C71)",
    "ODC-By 1.0",
    records="ptbdb",
    address=f"{_PHYSIONET}ptbdb/1.0.0/",
)
CATALOG["organc"] = Entry(
    "OrganCMNIST v3",
    "see the publisher",
    (
        RemoteFile(
            "organcmnist.npz",
            "https://zenodo.org/records/10519652/files/organcmnist.npz",
            "b9ceb9546e10131b32923c5bbeaea2b1",
        ),
    ),
)
CATALOG["organc_v2"] = Entry(
    "OrganCMNIST v2, the counts of the papers",
    "see the publisher",
    (
        RemoteFile(
            "organcmnist_v2.npz",
            "https://zenodo.org/record/6496656/files/organcmnist.npz",
            "0afa5834fb105f7705a7d93372119a21",
        ),
    ),
)
