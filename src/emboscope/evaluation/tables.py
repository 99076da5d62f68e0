"""Scores as lines of text, × 100."""

from collections.abc import Mapping, Sequence

from emboscope.evaluation.statistics import Estimate


def format_estimate(estimate: Estimate) -> str:
    """`95.3 [94.1, 96.5]`, from scores in [−1, 1]."""
    low, high = estimate.interval
    return f"{100 * estimate.mean:.2f} [{100 * low:.2f}, {100 * high:.2f}]"


def score_rows(columns: Mapping[str, Mapping[str, Estimate]]) -> list[list[str]]:
    """A table: one row a metric, one column a method, heads first."""
    metrics = list(dict.fromkeys(name for scores in columns.values() for name in scores))
    body = [
        [
            name,
            *(
                format_estimate(scores[name]) if name in scores else ""
                for scores in columns.values()
            ),
        ]
        for name in metrics
    ]
    return [["score", *columns], *body]


def fold_rows(columns: Mapping[str, Estimate]) -> list[list[str]]:
    """A table: one row a fold, one column a method, heads first."""
    values = [estimate.values for estimate in columns.values()]
    body = [
        [str(index), *(f"{100 * value:.2f}" for value in row)]
        for index, row in enumerate(zip(*values, strict=True))
    ]
    return [["fold", *columns], *body]


def align(rows: Sequence[Sequence[str]]) -> str:
    """Rows as text: the first column left, the others right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
