/* ---- the front end: from a segment of signal to the views of a model ---- */

/* Discrete Fourier transform of n complex numbers that stand `step` apart; `turns` holds cosine and
 * sine of k / n_fft turns. Halved while n is even, so that any n_fft will do. */
static void transformed(const float *in, float *out, int32_t n, int32_t step, const uint8_t *turns,
                        int32_t n_fft) {
  int32_t half = n / 2, apart = n_fft / n;
  if (n & 1) {
    for (int32_t k = 0; k < n; k++) {
      float real = 0.0f, imaginary = 0.0f;
      for (int32_t t = 0; t < n; t++) {
        const uint8_t *turn = turns + 8 * ((int64_t)k * t % n * apart);
        float c = f32_at(turn), s = f32_at(turn + 4), x = in[2 * t * step], y = in[2 * t * step + 1];
        real += x * c + y * s;
        imaginary += y * c - x * s;
      }
      out[2 * k] = real, out[2 * k + 1] = imaginary;
    }
    return;
  }
  transformed(in, out, half, 2 * step, turns, n_fft);
  transformed(in + 2 * step, out + n, half, 2 * step, turns, n_fft);
  for (int32_t k = 0; k < half; k++) {
    const uint8_t *turn = turns + 8 * k * apart;
    float *low = out + 2 * k, *high = out + n + 2 * k, c = f32_at(turn), s = f32_at(turn + 4);
    float real = high[0] * c + high[1] * s, imaginary = high[1] * c - high[0] * s;
    high[0] = low[0] - real, high[1] = low[1] - imaginary;
    low[0] += real, low[1] += imaginary;
  }
}

/* Power of windowed frames, two-sided, the row n_fft / 2 is 0 Hz; beyond the ends stand zeros. */
static void spectrum(const uint8_t *model, const struct step *s, const float *in, float *out,
                     float *scratch) {
  const uint8_t *window = tensor_at(model, s->weight).data;
  const uint8_t *turns = tensor_at(model, s->scale).data;
  const uint8_t *starts = tensor_at(model, s->shift).data;
  const float *q = in + s->w;
  int32_t n = s->oh;
  for (int32_t frame = 0; frame < s->ow; frame++) {
    int32_t start = (int32_t)f32_at(starts + 4 * frame);
    memset(scratch, 0, sizeof(float) * 2 * (size_t)n);
    for (int32_t t = 0; t < s->kw; t++) {
      int32_t at = start + t;
      if (at < 0 || at >= s->w) continue;
      scratch[2 * t] = f32_at(window + 4 * t) * in[at];
      if (s->c == 2) scratch[2 * t + 1] = f32_at(window + 4 * t) * q[at];
    }
    transformed(scratch, scratch + 2 * n, n, 1, turns, n);
    for (int32_t row = 0; row < n; row++) {
      const float *value = scratch + 2 * n + 2 * ((row + n - n / 2) % n);
      out[row * s->ow + frame] = value[0] * value[0] + value[1] * value[1];
    }
  }
}

static void sort(float *values, int32_t n) {
  for (int32_t gap = n / 2; gap > 0; gap /= 2)
    for (int32_t k = gap; k < n; k++) {
      float value = values[k];
      int32_t at = k;
      for (; at >= gap && values[at - gap] > value; at -= gap) values[at] = values[at - gap];
      values[at] = value;
    }
}

/* Of numbers that are sorted on the way. */
static float median(float *values, int32_t n) {
  sort(values, n);
  return 0.5f * (values[(n - 1) / 2] + values[n / 2]);
}

/* Mean and standard deviation. */
static void spread_of(const float *values, int32_t n, double *mean, double *sd) {
  double sum = 0.0, squares = 0.0;
  for (int32_t k = 0; k < n; k++) sum += values[k];
  *mean = sum / n;
  for (int32_t k = 0; k < n; k++) squares += (values[k] - *mean) * (values[k] - *mean);
  *sd = sqrt(squares / n);
}

enum { OF_IMAGE, ABSOLUTE, OVER_BACKGROUND };

/* Decibels of power. The weights: what they refer to, the two limits, whether they are z-scored. */
static void decibels(const uint8_t *model, const struct step *s, const float *in, float *out,
                     float *scratch) {
  const uint8_t *rule = tensor_at(model, s->weight).data;
  int32_t n = s->h * s->w, reference = (int32_t)f32_at(rule);
  float low = f32_at(rule + 4), high = f32_at(rule + 8), floor = 1e-12f, level = 1.0f;
  double mean, sd;
  if (reference == OF_IMAGE) {
    float most = 0.0f;
    for (int32_t k = 0; k < n; k++) most = fmaxf(most, in[k]);
    floor = fmaxf(1e-12f * most, 1e-30f);
  } else if (reference == OVER_BACKGROUND) {
    for (int32_t frame = 0; frame < s->w; frame++) {
      double sum = 0.0;
      for (int32_t row = 0; row < s->h; row++) sum += in[row * s->w + frame];
      scratch[frame] = (float)(sum / s->h);
    }
    floor = 1e-30f;
    level = fmaxf(median(scratch, s->w), 1e-30f);
  }
  for (int32_t k = 0; k < n; k++) out[k] = 10.0f * log10f(in[k] / level + floor);
  if (reference != OVER_BACKGROUND) {
    spread_of(out, n, &mean, &sd);
    low = (float)(mean + low * sd), high = (float)(mean + high * sd);
  }
  for (int32_t k = 0; k < n; k++) out[k] = fminf(fmaxf(out[k], low), high);
  if (f32_at(rule + 12) == 0.0f) return;
  spread_of(out, n, &mean, &sd);
  for (int32_t k = 0; k < n; k++) out[k] = (float)((out[k] - mean) / fmax(sd, 1e-9));
}

/* Each channel to [0, 1]. */
static void min_max(const struct step *s, const float *in, float *out) {
  int32_t n = s->h * s->w;
  for (int32_t c = 0; c < s->c; c++, in += n, out += n) {
    float low = in[0], high = in[0];
    for (int32_t k = 1; k < n; k++) low = fminf(low, in[k]), high = fmaxf(high, in[k]);
    for (int32_t k = 0; k < n; k++) out[k] = (in[k] - low) / (high > low ? high - low : 1.0f);
  }
}

/* All channels over the median of their joint magnitude. */
static void over_median(const struct step *s, const float *in, float *out, float *scratch) {
  int32_t n = s->h * s->w;
  for (int32_t k = 0; k < n; k++) {
    float sum = 0.0f;
    for (int32_t c = 0; c < s->c; c++) sum += in[c * n + k] * in[c * n + k];
    scratch[k] = sqrtf(sum);
  }
  float level = fmaxf(median(scratch, n), 1e-30f);
  for (int32_t k = 0; k < s->c * n; k++) out[k] = in[k] / level;
}

static void measures(const uint8_t *model, const struct step *s, const float *in, float *out,
                     float *scratch); /* measures.c */
static int measures_fit(const uint8_t *model, const struct step *s, uint64_t made);

static void run_front_end(const uint8_t *model, const struct step *s, const float *in, float *out,
                          float *scratch) {
  switch (s->kind) {
  case SPECTRUM: spectrum(model, s, in, out, scratch); break;
  case DECIBELS: decibels(model, s, in, out, scratch); break;
  case MIN_MAX: min_max(s, in, out); break;
  case MEASURES: measures(model, s, in, out, scratch); break;
  default: over_median(s, in, out, scratch); break;
  }
}

/* Whether every start of a frame is a number of samples. */
static int starts_fit(const struct tensor *starts) {
  for (uint32_t k = 0; k < starts->n_values; k++) {
    float start = f32_at(starts->data + 4 * k);
    if (!(start > -(float)MOST_SIDE && start < (float)MOST_VALUES)) return 0;
  }
  return 1;
}

static int front_end_fits(const uint8_t *model, const struct step *s, uint64_t n, uint64_t made) {
  uint64_t scratch = u32_at(model + 36), side = (uint64_t)s->oh;
  if (s->kind == SPECTRUM) {
    if (s->h != 1 || s->c > 2 || s->oc != 1 || s->kw > s->oh || 4 * side > scratch ||
        !has_floats(model, s->weight, (uint64_t)s->kw) || !has_floats(model, s->scale, 2 * side) ||
        !has_floats(model, s->shift, (uint64_t)s->ow))
      return 0;
    struct tensor starts = tensor_at(model, s->shift);
    return starts_fit(&starts);
  }
  if (s->kind == MEASURES) return measures_fit(model, s, made);
  if (made != n) return 0;
  if (s->kind == MIN_MAX) return 1;
  if (s->kind == OVER_MEDIAN) return (uint64_t)s->h * (uint64_t)s->w <= scratch;
  if (s->c != 1 || (uint64_t)s->w > scratch || !has_floats(model, s->weight, 4)) return 0;
  float reference = f32_at(tensor_at(model, s->weight).data);
  return reference == OF_IMAGE || reference == ABSOLUTE || reference == OVER_BACKGROUND;
}
