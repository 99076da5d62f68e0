"""Run as a program: appends labels one by one and prints the number of each that is acknowledged.

python writer.py STUDY ANNOTATOR FIRST END
"""

import sys

from emboscope.store import LabelEvent, Study


def word(annotator, number):
    """The label with this number: always the same, so that it can be sent again."""
    shares = tuple(float(c == number * number % 3) for c in range(3))
    return LabelEvent(
        1 + number % 7, annotator, "expert", shares, uuid=f"{annotator}-{number}", batch="all"
    )


if __name__ == "__main__":
    path, annotator, first, end = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    with Study.open(path) as study:
        for number in range(first, end):
            study.append([word(annotator, number)])
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()
