"""The tables of a study, in types that every database has."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA_VERSION = 1

# The 14 items of Ringelstein et al., Stroke 1998;29:725, in the words of `NAME.events.json`
TEXT_ITEMS = (
    "ultrasound_device", "transducer", "artery", "insonation_depth_mm", "intensity_algorithm",
    "scale_settings", "sample_volume_mm",
)  # fmt: skip
NUMBER_ITEMS = (
    "detection_threshold_db", "fft_points", "fft_length_ms", "fft_overlap", "carrier_hz",
    "high_pass_hz", "recording_time_s",
)  # fmt: skip
MEASURES = (
    "onset_s", "duration_s", "peak_s", "hbr_db", "direction_db", "frequency_hz", "velocity_cm_s",
)  # fmt: skip
FLAGS = ("saturated", "aliased")

METADATA = MetaData()


def _key() -> Column:
    return Column("id", Integer, primary_key=True)


def _to(name: str, target: str, **options: bool) -> Column:
    """A reference to the key of another table."""
    return Column(name, Integer, ForeignKey(f"{target}.id"), **options)  # type: ignore[arg-type]


about = Table(  # one row: which study this database belongs to
    "about",
    METADATA,
    Column("study", String(32), primary_key=True),
    Column("schema_version", Integer, nullable=False),
    Column("classes", JSON, nullable=False),
    Column("key_check", String(64)),  # tells whether a pseudonym key is the study's
    Column("created", String(32), nullable=False),
)
splits = Table(  # drawn once a subject, never changed
    "splits",
    METADATA,
    Column("subject", String(64), primary_key=True),
    Column("split", String(8), nullable=False),
    Column("how", Text, nullable=False),
    Column("created", String(32), nullable=False),
)
recordings = Table(
    "recordings",
    METADATA,
    _key(),
    Column("name", String(64), nullable=False, unique=True),  # pseudonym of the file
    Column("subject", String(64), ForeignKey("splits.subject"), nullable=False),
    Column("path", Text, nullable=False),  # of a copy relative to the study
    Column("copied", Boolean, nullable=False),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("sfreq", Float, nullable=False),
    Column("duration_s", Float, nullable=False),
    Column("evaluable_s", Float, nullable=False),
    Column("flags", JSON, nullable=False),
    *(Column(name, Text) for name in TEXT_ITEMS),
    *(Column(name, Float) for name in NUMBER_ITEMS),
    Column("created", String(32), nullable=False),
)
events = Table(
    "events",
    METADATA,
    _key(),
    _to("recording_id", "recordings", nullable=False, index=True),
    *(Column(name, Float, nullable=name == "velocity_cm_s") for name in MEASURES),
    Column("saturated", Boolean, nullable=False),
    Column("aliased", Boolean, nullable=False),
    Column("verdict", String(16), nullable=False),
)
shards = Table(  # immutable arrays of derived/
    "shards",
    METADATA,
    _key(),
    Column("kind", String(64), nullable=False, index=True),
    Column("settings_hash", String(16), nullable=False),
    Column("settings", JSON, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("file", String(128), nullable=False),
    Column("ids", LargeBinary, nullable=False),  # sample of each row, little-endian int64
    Column("created", String(32), nullable=False),
)
samples = Table(  # a segment of an event: row `row` of shard `shard_id`
    "samples",
    METADATA,
    _key(),
    _to("event_id", "events", nullable=False, unique=True),
    _to("shard_id", "shards", nullable=False),
    Column("row", Integer, nullable=False),
)
origins = Table(  # what a shard was made from: another shard, or a recording
    "origins",
    METADATA,
    _key(),
    _to("shard_id", "shards", nullable=False, index=True),
    _to("parent_id", "shards", index=True),
    _to("recording_id", "recordings", index=True),
    UniqueConstraint("shard_id", "parent_id", "recording_id"),
)
label_log = Table(  # append-only
    "label_log",
    METADATA,
    _key(),
    Column("uuid", String(36), nullable=False, unique=True),  # made by the client
    _to("sample_id", "samples", nullable=False, index=True),
    Column("annotator", String(128), nullable=False),
    Column("source", String(16), nullable=False),
    Column("probabilities", JSON(none_as_null=True)),
    Column("comment", Text, nullable=False),
    Column("details", JSON, nullable=False),
    Column("batch", String(64), nullable=False, index=True),
    Column("created", String(32), nullable=False),
)
runs = Table(
    "runs",
    METADATA,
    _key(),
    Column("kind", String(32), nullable=False),
    Column("settings", JSON, nullable=False),
    Column("results", JSON, nullable=False),
    Column("created", String(32), nullable=False),
)
