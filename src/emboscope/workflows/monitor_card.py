"""The card of the shipped model, as a page that a person reads."""

from collections.abc import Mapping, Sequence

LIMITS = (
    "It has seen no real patient. What it says of real recordings has not been measured, but that "
    "it takes none of the real probe taps of `tcd_dwl` for an embolus.",
    "Gas and solid overlap: weak gaseous emboli look like solid ones, and the simulator was made "
    "so that they do. A single decision is worth little; counts of many events are worth more.",
    "It judges what the detector has found. What the detector misses is missed.",
    "The probabilities were fitted to a mix of 70 % artifacts, 18 % gas and 12 % solid. Where "
    "there are many more artifacts, more of the emboli that it names are none.",
    "Other devices, carriers more than 5 % off 1.5 and 2 MHz, other vessels than the middle "
    "cerebral artery, and children are outside of what it has learned.",
)


def card_page(card: Mapping) -> str:
    """`CARD.md` of the content of `card.json`."""
    validation, patients = card["validation"], card["patients"]
    simulation = card["settings"]["hits"]["simulation"]
    lines = [
        "# Model card: classes of HITS",
        card["notice"],
        "",
        f"**Trained on {card['trained_on']}** (simulator {card['simulator_version']}). "
        "It says of a high-intensity transient signal (HITS) whether it is an artifact, a gaseous "
        "or a solid embolus, or that it does not know.",
        "",
        "## What it is",
        f"Late fusion of `{'`, `'.join(card['settings']['network']['members'])}`; "
        f"{card['parameters']:,} parameters, {card['kilobytes']:.0f} kB, weights "
        f"{_weights(card)}.",
        "",
        "## Data",
        _table(
            ("part", "patients", "artifact", "gaseous", "solid"),
            [
                [name, *(str(patients[name][each]) for each in
                         ("patients", "artifact", "gaseous", "solid"))]
                for name in ("training", "validation")
            ],
        ),
        "",
        f"Candidates of the default detector at {card['settings']['hits']['threshold_db']:g} dB in "
        f"{simulation['n_patients']} patients of {simulation['minutes']:g} minutes, seed "
        f"{simulation['seed']}, both carriers. Whole patients validate; they chose the epoch, the "
        "weights of the fusion, the temperature and the probability of an answer, "
        f"{card['least_probability']:.2f}, under which it says *unknown*. "
        f"MCC of the validation part {100 * validation['mcc']:.1f} "
        f"({100 * validation['before_compression']['mcc']:.1f} before compression), calibration "
        f"error {100 * validation['calibration_error']:.1f} %.",
        "",
        "## On patients it has not seen",
        "Read once, end to end: recording, detector, model. Other seeds than any that it learned "
        "from; intervals are of 95 %, by drawing patients.",
        *(line for part, patients in zip(card["unseen"], card["settings"]["unseen"], strict=True)
          for line in _unseen(part, patients)),
        "",
        "## Limits",
        *(f"- {each}" for each in LIMITS),
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def _weights(card: Mapping) -> str:
    compression = card["settings"]["compression"]
    return f"by `{compression['method']}`" if compression else "of 32 bits"


def _unseen(part: Mapping, patients: Mapping) -> list[str]:
    """Lines of one carrier."""
    low, high = part["mcc"]["interval"]
    false, counted = part["false_emboli_per_hour"], part["emboli_counted"]
    recall, precision = (
        ", ".join(f"{label} {100 * share:.0f}" for label, share in part[name].items())
        for name in ("recall", "precision")
    )
    return [
        "",
        f"### {part['carrier_hz'] / 1e6:g} MHz",
        f"{part['patients']} patients, {part['hours']:.1f} evaluable hours, seed "
        f"{patients['seed']}. MCC of the events found "
        f"{100 * part['mcc']['mean']:.1f} ({100 * low:.1f} to {100 * high:.1f}); recall, %: "
        f"{recall}; precision, %: {precision}; calibration error "
        f"{100 * part['calibration_error']:.1f} %. It says unknown of "
        f"{100 * part['unknown_share']:.0f} %, and is right in "
        f"{100 * part['right_when_answered']:.0f} % of the rest. Of all true emboli, weak ones and "
        f"those in showers too, {100 * counted['model']:.0f} % count as one "
        f"({100 * counted['criteria']:.0f} % by the criteria alone), with "
        f"{false['model']:.1f} false emboli an evaluable hour ({false['criteria']:.1f}).",
        "",
        _table(
            ("true \\ said", *part["columns"]),
            [
                [row, *map(str, counts)]
                for row, counts in zip(part["rows"], part["matrix"], strict=True)
            ],
        ),
    ]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
