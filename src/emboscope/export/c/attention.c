
/* ---- attention and recurrence: tokens, or steps in time, are the columns ---- */

/* As many queries, or positions, as are computed at a time. */
enum { QUERIES = 16 };

/* e^x to 1e-7 of itself: 2^n·e^r with |r| < 0.35, without a branch, so that loops become vectors.
 * Adding 1.5·2^23 rounds to whole numbers, which are then the lowest bits. */
static inline float exponential(float x) {
  float bounded = x < -87.0f ? -87.0f : x > 87.0f ? 87.0f : x;
  float shifted = bounded * 1.44269504f + 12582912.0f, n = shifted - 12582912.0f, size;
  float r = bounded - n * 0.693359375f + n * 2.12194440e-4f; /* log 2 in two parts */
  float series = 1.0f + r * (1.0f / 7.0f);
  uint32_t bits;
  series = 1.0f + r * series * (1.0f / 6.0f);
  series = 1.0f + r * series * (1.0f / 5.0f);
  series = 1.0f + r * series * (1.0f / 4.0f);
  series = 1.0f + r * series * (1.0f / 3.0f);
  series = 1.0f + r * series * (1.0f / 2.0f);
  series = 1.0f + r * series;
  memcpy(&bits, &shifted, 4);
  bits = (bits + 127u) << 23;
  memcpy(&size, &bits, 4);
  return series * size;
}

/* σ(x) of each number; σ(2x)·2 − 1 is the hyperbolic tangent. */
static void squash(float *values, int32_t n) {
  for (int32_t k = 0; k < n; k++) values[k] = 1.0f / (1.0f + exponential(-values[k]));
}

static inline float bent(float x) { return 2.0f / (1.0f + exponential(-2.0f * x)) - 1.0f; }

/* What lies at a place of the input that is moved by the padding; 0 outside of it. */
static void frame(const struct step *s, const float *in, float *out) {
  for (int32_t c = 0; c < s->c; c++, in += s->h * s->w)
    for (int32_t y = 0; y < s->oh; y++)
      for (int32_t x = 0; x < s->ow; x++) {
        int32_t v = y - s->ph, u = x - s->pw;
        *out++ = v >= 0 && v < s->h && u >= 0 && u < s->w ? in[v * s->w + u] : 0.0f;
      }
}

/* At each position the channels to mean 0 and variance 1, then a scale and shift of each. */
static void channel_norm(const uint8_t *model, const struct step *s, const float *in, float *out) {
  struct tensor eps = tensor_at(model, s->weight), scale = tensor_at(model, s->scale),
                shift = tensor_at(model, s->shift);
  int32_t n = s->h * s->w;
  for (int32_t start = 0; start < n; start += QUERIES) {
    float mean[QUERIES] = {0.0f}, size[QUERIES] = {0.0f};
    int32_t count = at_most(QUERIES, n - start);
    for (int32_t c = 0; c < s->c; c++)
      for (int32_t k = 0; k < count; k++) mean[k] += in[c * n + start + k];
    for (int32_t k = 0; k < count; k++) mean[k] /= (float)s->c;
    for (int32_t c = 0; c < s->c; c++)
      for (int32_t k = 0; k < count; k++) {
        float away = in[c * n + start + k] - mean[k];
        size[k] += away * away;
      }
    for (int32_t k = 0; k < count; k++)
      size[k] = 1.0f / sqrtf(size[k] / (float)s->c + f32_at(eps.data));
    for (int32_t c = 0; c < s->c; c++) {
      float a = f32_at(scale.data + 4 * c), b = f32_at(shift.data + 4 * c);
      for (int32_t k = 0; k < count; k++)
        out[c * n + start + k] = (in[c * n + start + k] - mean[k]) * size[k] * a + b;
    }
  }
}

/* sums[row][query] = sum over k of left[row·along + k·down]·right[k][query] */
static void products(const float *left, int32_t along, int32_t down, int32_t n_rows,
                     const float *right, int32_t n, float *sums) {
  int32_t row = 0;
#if TILE
  for (; row + GROUP <= n_rows; row += GROUP, sums += GROUP * LANES) {
    const float *from = left + row * along;
    lanes a = {0}, b = {0}, c = {0}, d = {0}, x;
    for (int32_t k = 0; k < n; k++, from += down) {
      LOAD(x, right + k * LANES);
      a += from[0] * x, b += from[along] * x, c += from[2 * along] * x, d += from[3 * along] * x;
    }
    memcpy(sums, &a, sizeof a), memcpy(sums + LANES, &b, sizeof b);
    memcpy(sums + 2 * LANES, &c, sizeof c), memcpy(sums + 3 * LANES, &d, sizeof d);
  }
#endif
  for (; row < n_rows; row++, sums += QUERIES) {
    memset(sums, 0, sizeof(float) * QUERIES);
    for (int32_t k = 0; k < n; k++)
      for (int32_t query = 0; query < QUERIES; query++)
        sums[query] += left[row * along + k * down] * right[k * QUERIES + query];
  }
}

/* Scores (token, query) to weights of which those of a query sum to 1. */
static void weighed(float *scores, int32_t n_tokens) {
  float most[QUERIES], sum[QUERIES] = {0.0f};
  memcpy(most, scores, sizeof most);
  for (int32_t token = 1; token < n_tokens; token++)
    for (int32_t query = 0; query < QUERIES; query++) {
      float score = scores[token * QUERIES + query];
      most[query] = score > most[query] ? score : most[query];
    }
  for (int32_t token = 0; token < n_tokens; token++)
    for (int32_t query = 0; query < QUERIES; query++) {
      float rising = exponential(scores[token * QUERIES + query] - most[query]);
      scores[token * QUERIES + query] = rising;
      sum[query] += rising;
    }
  for (int32_t query = 0; query < QUERIES; query++) sum[query] = 1.0f / sum[query];
  for (int32_t token = 0; token < n_tokens; token++)
    for (int32_t query = 0; query < QUERIES; query++) scores[token * QUERIES + query] *= sum[query];
}

/* Each head: queries (feature, query), keys and values (feature, token) to means of the values.
 * The keys of all heads come first; the queries are scaled. */
static void attention(const struct step *s, const float *in, const float *queries, float *out,
                      float *scratch) {
  int32_t width = s->oh, n_tokens = s->w, n_queries = s->ow;
  float *scores = scratch, *block = scores + QUERIES * n_tokens;
  for (int32_t head = 0; head < s->oc; head++) {
    const float *keys = in + head * width * n_tokens, *values = keys + s->oc * width * n_tokens;
    for (int32_t start = 0; start < n_queries; start += QUERIES) {
      int32_t count = at_most(QUERIES, n_queries - start);
      memset(block, 0, sizeof(float) * (size_t)(QUERIES * width));
      for (int32_t k = 0; k < width; k++)
        memmove(block + QUERIES * k, queries + (head * width + k) * n_queries + start,
               sizeof(float) * (size_t)count);
      products(keys, 1, n_tokens, n_tokens, block, width, scores);
      weighed(scores, n_tokens);
      products(values, n_tokens, 1, width, scores, n_tokens, block);
      for (int32_t k = 0; k < width; k++)
        memmove(out + (head * width + k) * n_queries + start, block + QUERIES * k,
               sizeof(float) * (size_t)count);
    }
  }
}

/* gates += weights·given, with the weights of one given number side by side. */
static void add_given(const uint8_t *weights, const float *given, int32_t n_given, int32_t n_gates,
                      float *gates) {
  int32_t done = 0, row = 4 * n_gates; /* bytes */
#if TILE
  for (; done + TILE <= n_gates; done += TILE) {
    float *at = gates + done;
    lanes a, b, c, d, x;
    LOAD(a, at), LOAD(b, at + LANES), LOAD(c, at + 2 * LANES), LOAD(d, at + 3 * LANES);
    for (int32_t k = 0; k < n_given; k++) {
      const uint8_t *from = weights + row * k + 4 * done;
      LOAD(x, from), a += given[k] * x;
      LOAD(x, from + 4 * LANES), b += given[k] * x;
      LOAD(x, from + 8 * LANES), c += given[k] * x;
      LOAD(x, from + 12 * LANES), d += given[k] * x;
    }
    memcpy(at, &a, sizeof a), memcpy(at + LANES, &b, sizeof b);
    memcpy(at + 2 * LANES, &c, sizeof c), memcpy(at + 3 * LANES, &d, sizeof d);
  }
#endif
  for (int32_t k = 0; k < n_given; k++, weights += row)
    for (int32_t gate = done; gate < n_gates; gate++)
      gates[gate] += given[k] * f32_at(weights + 4 * gate);
}

/* Hidden states of one layer: gates in, forget, cell, out; the second direction from the end.
 * What is given at a step are its channels and the state before. */
static void lstm(const uint8_t *model, const struct step *s, const float *in, float *out,
                 float *scratch) {
  const uint8_t *weights = tensor_at(model, s->weight).data, *bias = tensor_at(model, s->shift).data;
  int32_t n = s->oh, n_steps = s->ow, n_given = s->c + n;
  float *gates = scratch, *given = gates + 4 * n, *state = given + s->c, *cell = state + n;
  for (int32_t direction = 0; direction < s->oc; direction++, out += n * n_steps) {
    memset(state, 0, sizeof(float) * 2 * (size_t)n);
    for (int32_t passed = 0; passed < n_steps; passed++) {
      int32_t step = direction ? n_steps - 1 - passed : passed;
      for (int32_t c = 0; c < s->c; c++) given[c] = in[c * n_steps + step];
      for (int32_t gate = 0; gate < 4 * n; gate++) gates[gate] = f32_at(bias + 4 * gate);
      add_given(weights, given, n_given, 4 * n, gates);
      squash(gates, 2 * n);
      squash(gates + 3 * n, n);
      for (int32_t k = 0; k < n; k++)
        cell[k] = gates[n + k] * cell[k] + gates[k] * bent(gates[2 * n + k]);
      for (int32_t k = 0; k < n; k++) state[k] = gates[3 * n + k] * bent(cell[k]);
      for (int32_t k = 0; k < n; k++) out[k * n_steps + step] = state[k];
    }
    weights += 16 * n * n_given;
    bias += 16 * n;
  }
}

/* Sum of the channels, each times a number. */
static void blend(const struct step *s, const float *in, const float *shares, float *out) {
  int32_t n = s->h * s->w;
  memset(out, 0, sizeof(float) * (size_t)n);
  for (int32_t c = 0; c < s->c; c++)
    for (int32_t k = 0; k < n; k++) out[k] += shares[c] * in[c * n + k];
}

static void run_sequence_step(const uint8_t *model, const struct step *s, const float *in,
                              const float *other, float *out, float *scratch) {
  switch (s->kind) {
  case FRAME: frame(s, in, out); break;
  case CHANNEL_NORM: channel_norm(model, s, in, out); break;
  case ATTENTION: attention(s, in, other, out, scratch); break;
  case LSTM: lstm(model, s, in, out, scratch); break;
  default: blend(s, in, other, out); break;
  }
}

static int sequence_step_fits(const uint8_t *model, const struct step *s, uint64_t n,
                              uint64_t made) {
  uint64_t scratch = u32_at(model + 36), gates;
  switch (s->kind) {
  case FRAME:
    return s->oc == s->c && s->ph >= 0 && s->pw >= 0 && s->ph < MOST_SIDE && s->pw < MOST_SIDE;
  case CHANNEL_NORM:
    return made == n && s->oc == s->c && has_floats(model, s->weight, 1) &&
           has_floats(model, s->scale, (uint64_t)s->c) &&
           has_floats(model, s->shift, (uint64_t)s->c);
  case ATTENTION:
    return s->c == 2 * s->oc && s->h == s->oh && readable(model, s->second, made) &&
           QUERIES * ((uint64_t)s->w + (uint64_t)s->h) <= scratch;
  case LSTM:
    gates = 4 * (uint64_t)s->oc * (uint64_t)s->oh;
    return s->oc <= 2 && s->h == 1 && s->w == s->ow &&
           has_floats(model, s->weight, gates * ((uint64_t)s->c + (uint64_t)s->oh)) &&
           has_floats(model, s->shift, gates) && 6 * (uint64_t)s->oh + (uint64_t)s->c <= scratch;
  default: /* BLEND */
    return made * (uint64_t)s->c == n && readable(model, s->second, (uint64_t)s->c);
  }
}
