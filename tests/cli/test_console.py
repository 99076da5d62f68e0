"""Tables on a terminal: columns that do not fit are named, not squeezed."""

import pytest

from emboscope.cli.console import fitting_widths, print_table

HEADS = ["", "MCC, %", "zeros, %", "CR_G, quantized, as published, %"]
ROWS = [["full precision", "97.66 ± 0.10 [97.51, 97.81]", "–", "–"], ["TTQ", "96.99", "8.69", "1"]]


@pytest.mark.parametrize(
    ("width", "widths"),
    [
        (100, [22, 14, 6, 10]),
        (49, [13, 7, 6, 10]),
        (45, [9, 7, 6, 10]),
        (44, [21, 7, 6]),
        (32, [9, 7, 6]),
        (31, [17, 7]),
        (5, [9, 7]),
    ],
)
def test_columns_fit_where_no_word_of_them_is_broken(width, widths):
    """Words of 9, 7, 6 and 10 letters, three more a column for its border, and one."""
    columns = [
        ("", "precision of the model"), ("MCC, %", "[97.51, 97.81]"), ("zero", "96.990"),
        ("quantized,", "1"),
    ]  # fmt: skip
    assert fitting_widths(columns, width) == widths


def test_what_does_not_fit_is_named_below(capsys):
    print_table("Methods", HEADS * 4, [row * 4 for row in ROWS], whole=False)
    *table, last = capsys.readouterr().out.splitlines()
    assert {len(line) for line in table[1:]} == {110}
    words = " ".join(table).split()
    assert all(word in words for word in ("full", "precision", "zeros,", "published,", "[97.51,"))
    assert last.startswith("Not shown, for want of width: ")
    assert (words.count("zeros,"), last.count("zeros, %")) == (2, 2)  # each of the four somewhere


def test_a_table_that_has_to_be_whole_is_whole(capsys):
    print_table("Methods", HEADS, ROWS)
    assert "Not shown" not in capsys.readouterr().out
