/* ---- features by hand of HITS, as hits_features of the package ---- */

enum { WINDOW = 64, STRIDE = 8, N_MEASURES = 30, N_TAPS = 16, N_LEVELS = 8, LONGEST = 512 };
enum { PREDICTED = 128, ORDER = 4 };
#define LOW_HZ 150.0f
#define TINY 1e-12f

/* One segment, its short-time power, and what is found on the way. Rows of `power` are as the
 * transform gives them; `bin` puts them in order along the flow. */
struct segment {
  const float *i, *q;
  int32_t n_times, n_frames, peak, bin[WINDOW];
  float by, sfreq, frame_s, along[WINDOW], middle[WINDOW]; /* `by` brings the mean power to 1 */
  float *power, *flow, *against, *whole, *ridge, *spare;   /* spare: n_frames */
  float flow_level, against_level;
};

static float decibels_of(float above, float below) {
  return 10.0f * log10f((above + TINY) / (below + TINY));
}

static float power_at(const struct segment *g, int32_t row, int32_t frame) {
  return g->power[g->bin[row] * g->n_frames + frame];
}

static int forward(const struct segment *g, int32_t row) { return g->along[row] > LOW_HZ; }

/* Linear between sorted values, as numpy does; sorts on the way. */
static float percentile(float *values, int32_t n, float share) {
  float at = share * (float)(n - 1);
  int32_t low = (int32_t)at;
  sort(values, n);
  return values[low] + (at - (float)low) * (values[at_most(low + 1, n - 1)] - values[low]);
}

static void short_time_power(struct segment *g, const uint8_t *window, const uint8_t *turns,
                             float *scratch) {
  double sum = 0.0;
  for (int32_t t = 0; t < g->n_times; t++) sum += g->i[t] * g->i[t] + g->q[t] * g->q[t];
  float level = (float)sqrt(sum / g->n_times);
  g->by = level > 0.0f ? 1.0f / level : 1.0f;
  for (int32_t frame = 0; frame < g->n_frames; frame++) {
    for (int32_t t = 0; t < WINDOW; t++) {
      float weight = f32_at(window + 4 * t) * g->by;
      scratch[2 * t] = weight * g->i[STRIDE * frame + t];
      scratch[2 * t + 1] = weight * g->q[STRIDE * frame + t];
    }
    transformed(scratch, scratch + 2 * WINDOW, WINDOW, 1, turns, WINDOW);
    for (int32_t row = 0; row < WINDOW; row++) {
      const float *value = scratch + 2 * WINDOW + 2 * ((row + WINDOW / 2) % WINDOW);
      g->power[row * g->n_frames + frame] = value[0] * value[0] + value[1] * value[1];
    }
  }
}

/* A percentile of those rows that are beyond 150 Hz on either side. */
static float noise_of(const float *rows, float step_hz, float share) {
  float some[WINDOW];
  int32_t n = 0;
  for (int32_t row = 0; row < WINDOW; row++)
    if (fabsf((float)(row - WINDOW / 2) * step_hz) > LOW_HZ) some[n++] = rows[row];
  return percentile(some, n, share);
}

/* Rows along the flow: turned round where it goes away, and over half the sampling frequency. */
static void order_along(struct segment *g) {
  float step_hz = g->sfreq / WINDOW, raw[WINDOW], level[WINDOW], away = 0.0f, towards = 0.0f;
  for (int32_t row = 0; row < WINDOW; row++) {
    memcpy(g->spare, g->power + row * g->n_frames, sizeof(float) * (size_t)g->n_frames);
    raw[row] = median(g->spare, g->n_frames);
  }
  float noise = noise_of(raw, step_hz, 0.125f);
  for (int32_t row = 0; row < WINDOW; row++) {
    float hz = (float)(row - WINDOW / 2) * step_hz, flow = fmaxf(raw[row] - noise, 0.0f);
    if (hz < -LOW_HZ) away += flow;
    if (hz > LOW_HZ) towards += flow;
  }
  int32_t turned[WINDOW], beyond = 0;
  for (int32_t row = 0; row < WINDOW; row++)
    turned[row] = away > towards ? (WINDOW - row) % WINDOW : row;
  for (int32_t row = 0; row < WINDOW; row++)
    level[row] = (raw[turned[(row + WINDOW - 1) % WINDOW]] + raw[turned[row]] +
                  raw[turned[(row + 1) % WINDOW]]) / 3.0f;
  noise = noise_of(level, step_hz, 0.25f);
  for (int32_t row = 0; (float)(row - WINDOW / 2) * step_hz < -4.0f * LOW_HZ; row++)
    if (level[row] < 2.0f * noise) {
      beyond = row;
      break;
    }
  for (int32_t row = 0; row < WINDOW; row++) {
    g->bin[row] = turned[(row + beyond) % WINDOW];
    g->along[row] = (float)(row + beyond - WINDOW / 2) * step_hz;
    g->middle[row] = raw[g->bin[row]];
  }
}

/* Mean of five, mirrored at the ends. */
static void smoothed(const float *in, float *out, int32_t n) {
  for (int32_t k = 0; k < n; k++) {
    float sum = 0.0f;
    for (int32_t move = -2; move <= 2; move++) {
      int32_t at = k + move;
      sum += in[at < 0 ? -1 - at : at >= n ? 2 * n - 1 - at : at];
    }
    out[k] = fmaxf(sum / 5.0f, 0.0f);
  }
}

static void flows(struct segment *g) {
  int32_t n = g->n_frames, middle = (int32_t)rintf((float)(g->n_times - WINDOW) / 2 / STRIDE);
  int32_t reach = (int32_t)rintf(0.006f * g->sfreq / STRIDE);
  for (int side = 0; side < 2; side++) {
    for (int32_t t = 0; t < n; t++) {
      float sum = 0.0f;
      for (int32_t row = 0; row < WINDOW; row++)
        if (side == 0 ? forward(g, row) : g->along[row] < -LOW_HZ) sum += power_at(g, row, t);
      g->whole[t] = sum;
    }
    smoothed(g->whole, side == 0 ? g->flow : g->against, n);
    if (side == 0) memcpy(g->ridge, g->whole, sizeof(float) * (size_t)n); /* kept for a moment */
  }
  memcpy(g->whole, g->ridge, sizeof(float) * (size_t)n);
  memcpy(g->spare, g->flow, sizeof(float) * (size_t)n);
  g->flow_level = median(g->spare, n);
  memcpy(g->spare, g->against, sizeof(float) * (size_t)n);
  g->against_level = median(g->spare, n);
  g->peak = middle - reach;
  for (int32_t t = middle - reach; t <= middle + reach; t++)
    if (g->flow[t] > g->flow[g->peak]) g->peak = t;
}

/* A run of frames: first and last (exclusive). */
struct run {
  int32_t begin, end;
};

static int is_high(const struct segment *g, int32_t frame, float level, int over) {
  return over ? g->flow[frame] > level : g->flow[frame] >= level;
}

/* Frames from the peak to the nearest high one on a side; more than there are where none is. */
static int32_t nearest(const struct segment *g, int direction, float level, int over) {
  int32_t apart = 1;
  for (int32_t t = g->peak + direction; t >= 0 && t < g->n_frames; t += direction, apart++)
    if (is_high(g, t, level, over)) return apart;
  return 2 * g->n_frames;
}

/* Those about the peak whose flow is at least, or over, a level; gaps of some frames are filled. */
static struct run run_about(const struct segment *g, float level, int over, int32_t gap) {
  struct run found = {g->peak, g->peak + 1};
  int32_t between = nearest(g, -1, level, over) + nearest(g, 1, level, over) - 1;
  int inside = is_high(g, g->peak, level, over) || between <= gap;
  for (int direction = -1; direction <= 1; direction += 2) {
    int32_t last = 0, apart = 1;
    for (int32_t t = g->peak + direction; t >= 0 && t < g->n_frames; t += direction, apart++) {
      if (is_high(g, t, level, over))
        last = apart;
      else if (apart - last > gap || (last == 0 && !inside))
        break;
    }
    if (direction < 0)
      found.begin -= last;
    else
      found.end += last;
  }
  return found;
}

/* Weighted polynomial through values over time: its linear coefficient and the RMS distance. */
static void fitted(const struct segment *g, const float *values, const float *weights, int degree,
                   float *slope, float *distance) {
  double total = 0.0, spread = 0.0, normal[3][4] = {{0.0}}, left = 0.0;
  int32_t n = g->n_frames, several = 0;
  for (int32_t t = 0; t < n; t++) total += weights[t], several += weights[t] > 0.0f;
  if (total <= 0.0) total = 1.0;
  for (int32_t t = 0; t < n; t++) {
    double time = (t - g->peak) * (double)g->frame_s;
    spread += weights[t] / total * time * time;
  }
  double scale = sqrt(spread) + 1e-12;
  for (int32_t t = 0; t < n; t++) {
    double share = weights[t] / total, x = (t - g->peak) * (double)g->frame_s / scale;
    double powers[3] = {1.0, x, x * x};
    if (share == 0.0) continue;
    for (int a = 0; a <= degree; a++) {
      for (int b = 0; b <= degree; b++) normal[a][b] += share * powers[a] * powers[b];
      normal[a][3] += share * values[t] * powers[a];
    }
  }
  for (int a = 0; a <= degree; a++) normal[a][a] += 1e-9;
  for (int a = 0; a <= degree; a++)
    for (int b = 0; b <= degree; b++) {
      double factor = normal[b][a] / normal[a][a];
      if (b == a) continue;
      for (int c = 0; c < 4; c++) normal[b][c] -= factor * normal[a][c];
    }
  double found[3] = {0.0};
  for (int a = 0; a <= degree; a++) found[a] = normal[a][3] / normal[a][a];
  for (int32_t t = 0; t < n; t++) {
    double x = (t - g->peak) * (double)g->frame_s / scale;
    double rest = values[t] - (found[0] + found[1] * x + found[2] * x * x);
    left += weights[t] / total * rest * rest;
  }
  *slope = several > degree + 1 ? (float)(found[1] / scale) : 0.0f;
  *distance = several > degree + 1 ? (float)sqrt(left) : 0.0f;
}

static int32_t strongest_of(const struct segment *g, int32_t frame) {
  int32_t best = 0;
  float most = 0.0f;
  for (int32_t row = 0; row < WINDOW; row++)
    if (forward(g, row) && power_at(g, row, frame) > most) {
      most = power_at(g, row, frame);
      best = row;
    }
  return best;
}

static void strength(const struct segment *g, struct run box, float *out) {
  float peak = g->flow[g->peak], excess = 0.0f, along = 0.0f, against = 0.0f, risen = 0.0f;
  for (int32_t t = box.begin; t < box.end; t++) {
    excess += fmaxf(g->flow[t] - g->flow_level, 0.0f);
    along += g->flow[t] - g->flow_level;
    against += g->against[t] - g->against_level;
    risen = fmaxf(risen, g->against[t]);
  }
  along = fmaxf(along, 0.0f), against = fmaxf(against, 0.0f);
  float floor = 1e-4f * (along + against), most = 0.0f;
  out[0] = decibels_of(peak, g->flow_level);
  out[1] = decibels_of(excess * g->frame_s, g->flow_level);
  for (int32_t t = 0; t < g->n_times; t++)
    most = fmaxf(most, g->i[t] * g->i[t] + g->q[t] * g->q[t]);
  out[2] = 20.0f * log10f(sqrtf(most) + TINY);
  out[3] = decibels_of(along + floor, against + floor);
  out[4] = decibels_of(risen, g->against_level);
  float span = g->sfreq, step = g->sfreq / WINDOW, image = 0.0f;
  int32_t best = strongest_of(g, g->peak);
  float wanted = -3.0f * g->along[best];
  for (int32_t row = 0; row < WINDOW; row++) {
    float apart = g->along[row] - wanted + span / 2;
    apart -= floorf(apart / span) * span + span / 2;
    if (fabsf(apart) < 1.5f * step) image = fmaxf(image, power_at(g, row, g->peak));
  }
  out[5] = fminf(fmaxf(decibels_of(image, power_at(g, best, g->peak)), -60.0f), 0.0f);
}

static void shape(const struct segment *g, struct run box, struct run core, float *out) {
  float ignored, *weights = g->spare;
  struct run high = run_about(g, g->flow[g->peak] / 4.0f, 0, 0);
  double total = 0.0, mean = 0.0, variance = 0.0, cubed = 0.0;
  out[6] = (float)(box.end - box.begin) * g->frame_s;
  out[7] = (float)(high.end - high.begin) * g->frame_s;
  for (int32_t t = core.begin; t < core.end; t++) total += g->flow[t];
  total += 1e-12;
  for (int32_t t = core.begin; t < core.end; t++)
    mean += g->flow[t] / total * (t - g->peak) * (double)g->frame_s;
  for (int32_t t = core.begin; t < core.end; t++) {
    double apart = (t - g->peak) * (double)g->frame_s - mean, share = g->flow[t] / total;
    variance += share * apart * apart;
    cubed += share * apart * apart * apart;
  }
  out[8] = variance > 0.0 ? (float)(cubed / (variance * sqrt(variance))) : 0.0f;
  for (int32_t t = 0; t < g->n_frames; t++) {
    g->ridge[t] = decibels_of(g->whole[t], g->flow_level); /* its place until the ridge is made */
    weights[t] = t >= core.begin && t < core.end ? 1.0f : 0.0f;
  }
  fitted(g, g->ridge, weights, 2, &ignored, out + 9);
}

static void spectral(const struct segment *g, struct run box, float *out) {
  float event[WINDOW], noise[WINDOW], most = 0.0f, sum = 0.0f, low = 0.0f, total = 0.0f;
  double weight = 1e-12, mean = 0.0, variance = 0.0, line = 0.0, squares = 0.0;
  int32_t n_forward = 0, best = strongest_of(g, g->peak);
  for (int32_t row = 0; row < WINDOW; row++) {
    event[row] = 0.0f;
    for (int32_t t = box.begin; t < box.end; t++) event[row] += power_at(g, row, t);
    event[row] /= (float)(box.end - box.begin);
    total += event[row];
    if (fabsf(g->along[row]) < 300.0f) low += event[row];
    noise[row] = g->middle[row] / 0.69314718f;
    if (!forward(g, row)) continue;
    n_forward++;
    sum += power_at(g, row, g->peak);
    most = fmaxf(most, power_at(g, row, g->peak));
    weight += fmaxf(event[row] - noise[row], 0.0f);
  }
  for (int32_t row = 0; row < WINDOW; row++)
    if (forward(g, row)) mean += fmaxf(event[row] - noise[row], 0.0f) / weight * g->along[row];
  for (int32_t row = 0; row < WINDOW; row++)
    if (forward(g, row))
      variance += fmaxf(event[row] - noise[row], 0.0f) / weight * (g->along[row] - mean) *
                  (g->along[row] - mean);
  for (int32_t t = 0; t < g->n_frames; t++) {
    double value = power_at(g, best, t);
    line += value, squares += value * value;
  }
  line /= g->n_frames, squares /= g->n_frames;
  out[12] = (float)sqrt(variance);
  out[13] = decibels_of(most, sum / (float)n_forward);
  out[14] = decibels_of(low, total);
  out[15] = logf((float)((squares + 1e-12) / (line * line + 1e-12)));
  float edge = LOW_HZ, reached = 0.0f, all = 0.0f;
  memcpy(event, noise, sizeof noise);
  float floor = percentile(event, WINDOW, 0.125f);
  for (int32_t row = 0; row < WINDOW; row++)
    all += (forward(g, row) ? fmaxf(noise[row] - floor, 0.0f) : 0.0f) + TINY;
  for (int32_t row = 0; row < WINDOW; row++) {
    reached += (forward(g, row) ? fmaxf(noise[row] - floor, 0.0f) : 0.0f) + TINY;
    edge = g->along[row];
    if (reached >= 0.95f * all) break;
  }
  out[11] = fmaxf(edge, LOW_HZ); /* the envelope, over which the peak frequency is taken */
}

static void chirp(const struct segment *g, struct run core, float *out) {
  float step = g->sfreq / WINDOW, jump = 0.0f, *weights = g->spare;
  for (int32_t t = 0; t < g->n_frames; t++) {
    int32_t best = strongest_of(g, t), silent = power_at(g, best, t) <= 0.0f || !forward(g, best);
    best = best < 1 ? 1 : at_most(best, WINDOW - 2);
    float below = logf(power_at(g, best - 1, t) + TINY), at = logf(power_at(g, best, t) + TINY);
    float above = logf(power_at(g, best + 1, t) + TINY), bend = below - 2.0f * at + above;
    float move = bend < 0.0f ? 0.5f * (below - above) / bend : 0.0f;
    g->ridge[t] = silent ? 0.0f
                         : g->along[best] + fminf(fmaxf(move, -0.5f), 0.5f) * step;
    weights[t] = t >= core.begin && t < core.end
                     ? fmaxf(decibels_of(g->flow[t], g->flow_level), 0.0f)
                     : 0.0f;
  }
  out[10] = g->ridge[g->peak];
  out[11] = out[10] / out[11];
  fitted(g, g->ridge, weights, 1, out + 16, out + 17);
  for (int32_t t = core.begin; t + WINDOW / STRIDE < core.end; t++)
    jump = fmaxf(jump, fabsf(g->ridge[t + WINDOW / STRIDE] - g->ridge[t]));
  out[18] = jump;
}

/* The first of some samples about the peak. */
static int32_t about_peak(const struct segment *g, int32_t n) {
  int32_t first = g->peak * STRIDE + WINDOW / 2 - n / 2;
  return first < 0 ? 0 : at_most(first, g->n_times - n);
}

/* Power over what a linear prediction of four samples leaves of it. */
static float prediction_gain(const struct segment *g) {
  int32_t first = about_peak(g, PREDICTED);
  double real[ORDER + 1] = {0.0}, imaginary[ORDER + 1] = {0.0}, m[2 * ORDER][2 * ORDER + 1];
  for (int lag = 0; lag <= ORDER; lag++)
    for (int32_t t = first + lag; t < first + PREDICTED; t++) {
      double a = g->i[t] * g->by, b = g->q[t] * g->by;
      double c = g->i[t - lag] * g->by, d = g->q[t - lag] * g->by;
      real[lag] += a * c + b * d, imaginary[lag] += b * c - a * d;
    }
  for (int row = 0; row < ORDER; row++) /* complex as real: [re −im; im re] */
    for (int column = 0; column < ORDER; column++) {
      int lag = row - column, size = lag < 0 ? -lag : lag;
      double re = real[size], im = lag < 0 ? -imaginary[size] : imaginary[size];
      if (lag == 0) re += 1e-6 * real[0] + 1e-12, im = 0.0;
      m[row][column] = m[row + ORDER][column + ORDER] = re;
      m[row + ORDER][column] = im, m[row][column + ORDER] = -im;
    }
  for (int row = 0; row < ORDER; row++)
    m[row][2 * ORDER] = real[row + 1], m[row + ORDER][2 * ORDER] = imaginary[row + 1];
  for (int a = 0; a < 2 * ORDER; a++)
    for (int b = 0; b < 2 * ORDER; b++) {
      double factor = m[b][a] / m[a][a];
      if (b == a) continue;
      for (int c = a; c <= 2 * ORDER; c++) m[b][c] -= factor * m[a][c];
    }
  double left = real[0];
  for (int row = 0; row < ORDER; row++)
    left -= real[row + 1] * m[row][2 * ORDER] / m[row][row] +
            imaginary[row + 1] * m[row + ORDER][2 * ORDER] / m[row + ORDER][row + ORDER];
  return decibels_of((float)real[0], (float)fmax(left, 1e-6 * real[0]));
}

/* Spread over mean of the intervals between zero crossings of I. */
static float irregularity(const struct segment *g) {
  const float *line = g->i + about_peak(g, PREDICTED);
  double sum = 0.0, squares = 0.0, before = -1.0;
  int count = 0;
  for (int32_t t = 0; t + 1 < PREDICTED; t++) {
    if ((line[t] < 0.0f) == (line[t + 1] < 0.0f)) continue;
    double place = t + (double)line[t] / ((double)line[t] - line[t + 1]), apart = place - before;
    if (before >= 0.0) sum += apart, squares += apart * apart, count++;
    before = place;
  }
  if (count < 3) return 1.0f;
  double mean = sum / count, variance = squares / count - mean * mean;
  return (float)(sqrt(variance > 0.0 ? variance : 0.0) / fmax(mean, 1e-12));
}

/* Share of the energy on each level of a periodic transform; in place of the power. */
static void wavelets(const struct segment *g, const uint8_t *filters, float *out) {
  int32_t length = LONGEST, fine = 3;
  while (length > g->n_times) length /= 2;
  int32_t first = about_peak(g, length);
  float *rest = g->power, *next = g->power + 2 * length;
  double total = 0.0, energies[2] = {0.0, 0.0};
  for (int32_t t = 0; t < length; t++) {
    rest[2 * t] = g->i[first + t] * g->by, rest[2 * t + 1] = g->q[first + t] * g->by;
    total += rest[2 * t] * rest[2 * t] + rest[2 * t + 1] * rest[2 * t + 1];
  }
  for (int32_t level = 0; level < N_LEVELS; level++, length /= 2) {
    double energy = 0.0;
    for (int32_t k = 0; k < length / 2; k++) {
      float low[2] = {0.0f, 0.0f}, high[2] = {0.0f, 0.0f};
      for (int32_t tap = 0; tap < N_TAPS; tap++) {
        const float *value = rest + 2 * ((2 * k + N_TAPS / 2 - tap + N_TAPS * length) % length);
        float h = f32_at(filters + 4 * tap), d = f32_at(filters + 4 * (N_TAPS + tap));
        low[0] += h * value[0], low[1] += h * value[1];
        high[0] += d * value[0], high[1] += d * value[1];
      }
      next[2 * k] = low[0], next[2 * k + 1] = low[1];
      energy += high[0] * high[0] + high[1] * high[1];
    }
    memcpy(rest, next, sizeof(float) * (size_t)length);
    energies[level >= fine] += energy;
    out[21 + level] = decibels_of((float)energy, (float)total);
  }
  out[29] = decibels_of((float)energies[0], (float)energies[1]);
}

static int32_t frames_of(int32_t n_times) { return (n_times - WINDOW) / STRIDE + 1; }

/* Floats of scratch: the power, five rows of frames, and the transform of one. */
static uint64_t measures_scratch(int32_t n_times) {
  return (WINDOW + 5) * (uint64_t)frames_of(n_times) + 4 * WINDOW;
}

static void measures(const uint8_t *model, const struct step *s, const float *in, float *out,
                     float *scratch) {
  struct tensor constants = tensor_at(model, s->shift);
  struct segment g;
  g.i = in, g.q = in + s->w, g.n_times = s->w, g.n_frames = frames_of(s->w);
  g.sfreq = f32_at(constants.data + 8 * N_TAPS), g.frame_s = STRIDE / g.sfreq;
  g.power = scratch, g.flow = g.power + WINDOW * g.n_frames, g.against = g.flow + g.n_frames;
  g.whole = g.against + g.n_frames, g.ridge = g.whole + g.n_frames, g.spare = g.ridge + g.n_frames;
  short_time_power(&g, tensor_at(model, s->weight).data, tensor_at(model, s->scale).data,
                   g.spare + g.n_frames);
  order_along(&g);
  flows(&g);
  int32_t gap = (int32_t)rintf(0.015f * g.sfreq / STRIDE);
  struct run box = run_about(&g, 2.0f * g.flow_level, 1, gap);
  struct run core = run_about(&g, 0.1f * g.flow[g.peak], 0, 0);
  if (core.begin < box.begin) core.begin = box.begin;
  if (core.end > box.end) core.end = box.end;
  strength(&g, box, out);
  shape(&g, box, core, out);
  spectral(&g, box, out);
  chirp(&g, core, out);
  out[19] = prediction_gain(&g);
  out[20] = irregularity(&g);
  wavelets(&g, constants.data, out);
}

static int measures_fit(const uint8_t *model, const struct step *s, uint64_t made) {
  if (s->c != 2 || s->h != 1 || s->w < 256 || made != N_MEASURES ||
      measures_scratch(s->w) > u32_at(model + 36) || !has_floats(model, s->weight, WINDOW) ||
      !has_floats(model, s->scale, 2 * WINDOW) || !has_floats(model, s->shift, 2 * N_TAPS + 1))
    return 0;
  float sfreq = f32_at(tensor_at(model, s->shift).data + 8 * N_TAPS);
  if (!(sfreq >= 1000.0f && sfreq <= 100000.0f)) return 0;
  int32_t middle = (int32_t)rintf((float)(s->w - WINDOW) / 2 / STRIDE);
  int32_t reach = (int32_t)rintf(0.006f * sfreq / STRIDE);
  return reach <= middle && middle + reach < frames_of(s->w);
}
