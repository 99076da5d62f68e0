"""The high-pass of a front end as C: from the recording to what its segments are cut from."""

import numpy as np

from emboscope.representations.front_end import FrontEnd

_DECLARED = """
/* The high-pass of the recording at {cutoff:g} Hz, block after block; it begins as zeros. */
struct {prefix}_high_pass {{
  float state[{n_channels}][{n_sections}][2];
  int started;
}};

/* Filters n samples{of} in place, and goes on where it was. */
void {prefix}_filter(struct {prefix}_high_pass *filter, float *samples, int n);
"""

_DEFINED = """
void {prefix}_filter(struct {prefix}_high_pass *filter, float *samples, int n) {{
  static const float sections[{n_sections}][5] = {{{sections}}};
  static const float rest[{n_sections}][2] = {{{rest}}};
  for (int t = 0; t < n; t++)
    for (int c = 0; c < {n_channels}; c++) {{
      float value = samples[{n_channels} * t + c];
      for (int k = 0; k < {n_sections}; k++) {{
        const float *s = sections[k];
        float *state = filter->state[c][k], given = value;
        if (!filter->started) {{
          state[0] = rest[k][0] * samples[{n_channels} * t + c];
          state[1] = rest[k][1] * samples[{n_channels} * t + c];
        }}
        value = s[0] * given + state[0];
        state[0] = s[1] * given - s[3] * value + state[1];
        state[1] = s[2] * given - s[4] * value;
      }}
      if (c == {n_channels} - 1) filter->started = 1;
      samples[{n_channels} * t + c] = value;
    }}
}}
"""


def high_pass_code(prefix: str, front_end: FrontEnd | None) -> tuple[str, str]:
    """What the header declares and what the code defines; nothing without a high-pass."""
    chain = None if front_end is None else front_end.high_pass()
    if front_end is None or chain is None:
        return "", ""
    values = {
        "prefix": prefix,
        "cutoff": front_end.high_pass_hz,
        "n_channels": front_end.n_channels,
        "n_sections": len(chain.sections),
        "of": ", I and Q in turn," if front_end.n_channels == 2 else "",
        "sections": _rows(np.delete(chain.sections, 3, axis=1)),
        "rest": _rows(chain.rest),
    }
    return _DECLARED.format(**values), _DEFINED.format(**values)


def _rows(values: np.ndarray) -> str:
    """A table of numbers in C."""
    return ", ".join(
        "{" + ", ".join(f"{np.float32(value):.9e}f" for value in row) + "}" for row in values
    )
