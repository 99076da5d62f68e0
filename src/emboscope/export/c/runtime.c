/* The runtime of packed models: C99, no allocation, nothing but the standard library.
 *
 * A model is a table of steps on places in one arena of floats; see packed.py for the file.
 * Ternary weights are read where they lie, non-zero by non-zero, and only added up.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

enum { EMB_OK, EMB_NO_MODEL, EMB_VERSION, EMB_SIZE, EMB_CHECKSUM, EMB_MALFORMED };
enum { HEADER = 64, INPUT = 8, STEP = 96, TENSOR = 32, VERSION = 2, SKIP = 127 };
enum {
  CONVOLUTION, MAX_POOL, MEAN_POOL, MOMENTS, MEAN, ADD, MULTIPLY, AFFINE,
  SIGNED_LOG, QUANTILES, COPY, LAYER_NORM, MIX, SOFTMAX,
  FRAME, CHANNEL_NORM, ATTENTION, LSTM, BLEND,
  SPECTRUM, DECIBELS, MIN_MAX, OVER_MEDIAN, MEASURES,
  QUANTIZE, DEQUANTIZE, INTEGER_CONVOLUTION, INTEGER_LOGITS, INTEGER_POOL, INTEGER_ADD, N_KINDS
};
enum { FLOATS, TWO_BIT, TRITS, BITMAP, GAPS, ONE_BIT, BYTES, NIBBLES, CODEBOOK, SPARSE, N_FORMS };
enum { NONE, RELU, LEAKY_RELU, GELU, SIGMOID, TANH, N_ACTIVATIONS };
#define MOST_VALUES (1u << 26)
#define MOST_SIDE 65536

static uint32_t u32_at(const uint8_t *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int32_t i32_at(const uint8_t *p) {
  uint32_t bits = u32_at(p);
  int32_t value;
  memcpy(&value, &bits, 4);
  return value;
}

static float f32_at(const uint8_t *p) {
  uint32_t bits = u32_at(p);
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

static uint32_t aligned(uint32_t size) { return (size + 15u) & ~15u; }

/* ---- tensors ---- */

struct tensor {
  uint32_t form, n_values, n_bytes;
  const uint8_t *data;
  float left, right;
};

static const uint8_t *steps_of(const uint8_t *model) {
  return model + HEADER + aligned(INPUT * u32_at(model + 20));
}

static const uint8_t *tensors_of(const uint8_t *model) {
  return steps_of(model) + aligned(STEP * u32_at(model + 24));
}

static struct tensor tensor_at(const uint8_t *model, int32_t number) {
  const uint8_t *row = tensors_of(model) + TENSOR * (uint32_t)number;
  struct tensor found;
  found.form = u32_at(row);
  found.n_values = u32_at(row + 4);
  found.data = model + u32_at(row + 12);
  found.n_bytes = u32_at(row + 16);
  found.left = f32_at(row + 20);
  found.right = f32_at(row + 24);
  return found;
}

static int is_ternary(const struct tensor *t) {
  return t->form >= TWO_BIT && t->form <= ONE_BIT;
}

/* A number of at most 8 bits. */
static uint32_t bits_at(const uint8_t *data, uint32_t index, uint32_t n_bits) {
  uint32_t place = index * n_bits, from = place & 7, value = (uint32_t)data[place >> 3] >> from;
  if (from + n_bits > 8) value |= (uint32_t)data[(place >> 3) + 1] << (8 - from);
  return value & ((1u << n_bits) - 1);
}

/* Goes through the non-zero values of a tensor in their order. */
struct reader {
  const struct tensor *tensor;
  uint32_t next;    /* index that is looked at next */
  uint32_t byte;    /* of a gap list */
  uint32_t kept;    /* non-zeros so far */
  int pending;      /* whether a non-zero of a gap list was read and not yet given */
  float sign;       /* of it */
};

static uint32_t map_bytes(uint32_t n_values) { return (n_values + 7) / 8; }

static int gap_next(struct reader *r, uint32_t limit, uint32_t *index, float *value) {
  const struct tensor *t = r->tensor;
  while (!r->pending && r->byte < t->n_bytes) {
    uint8_t code = t->data[r->byte++];
    if (code == SKIP) {
      r->next += SKIP;
    } else {
      r->next += code & 127u;
      r->sign = code & 128u ? -1.0f : 1.0f;
      r->pending = 1;
    }
  }
  if (!r->pending || r->next >= limit) return 0;
  *index = r->next++;
  *value = r->sign;
  r->pending = 0;
  return 1;
}

/* The value at an index; of ternary forms its sign. */
static float value_at(struct reader *r, uint32_t index) {
  static const float signs[4] = {0.0f, 1.0f, -1.0f, 0.0f};
  static const uint32_t powers[5] = {1, 3, 9, 27, 81};
  const struct tensor *t = r->tensor;
  uint32_t code;
  switch (t->form) {
  case FLOATS:
    return f32_at(t->data + 4 * index);
  case TWO_BIT:
    return signs[t->data[index >> 2] >> (2 * (index & 3)) & 3];
  case TRITS:
    return (float)((int)(t->data[index / 5] / powers[index % 5] % 3) - 1);
  case BITMAP:
    if (!(t->data[index >> 3] >> (index & 7) & 1)) return 0.0f;
    code = bits_at(t->data + map_bytes(t->n_values), r->kept++, 1);
    return code ? 1.0f : -1.0f;
  case ONE_BIT:
    return t->data[index >> 3] >> (index & 7) & 1 ? 1.0f : -1.0f;
  case BYTES:
    return (float)((int)t->data[index] - (t->data[index] & 128 ? 256 : 0));
  case NIBBLES:
    code = t->data[index >> 1] >> (4 * (index & 1)) & 15u;
    return (float)((int)code - (code & 8 ? 16 : 0));
  case CODEBOOK:
    code = bits_at(t->data + 4 + 4 * ((uint32_t)t->data[1] + 1), index, t->data[0]);
    return f32_at(t->data + 4 + 4 * code);
  default: /* SPARSE */
    if (!(t->data[index >> 3] >> (index & 7) & 1)) return 0.0f;
    return f32_at(t->data + ((map_bytes(t->n_values) + 3u) & ~3u) + 4 * r->kept++);
  }
}

/* The next non-zero below a limit; 0 where there is none. */
static int next_value(struct reader *r, uint32_t limit, uint32_t *index, float *value) {
  if (r->tensor->form == GAPS) return gap_next(r, limit, index, value);
  while (r->next < limit) {
    *index = r->next++;
    *value = value_at(r, *index);
    if (*value != 0.0f) return 1;
  }
  return 0;
}

static struct reader reader_of(const struct tensor *t) {
  struct reader r;
  memset(&r, 0, sizeof r);
  r.tensor = t;
  return r;
}

/* ---- steps ---- */

struct step {
  int32_t kind, out, first, second, c, h, w, oc, oh, ow, kh, kw, sh, sw, ph, pw;
  int32_t weight, scale, shift, activation;
};

static struct step step_at(const uint8_t *row) {
  int32_t v[20];
  for (int k = 0; k < 20; k++) v[k] = i32_at(row + 4 * k);
  struct step s = {v[0],  v[1],  v[2],  v[3],  v[4],  v[5],  v[6],  v[7],  v[8],  v[9],
                   v[10], v[11], v[12], v[13], v[14], v[15], v[16], v[17], v[18], v[19]};
  return s;
}

static int32_t at_most(int32_t a, int32_t b) { return a < b ? a : b; }

static float activated(float value, int32_t activation) {
  switch (activation) {
  case NONE: return value;
  case RELU: return value > 0.0f ? value : 0.0f;
  case LEAKY_RELU: return value > 0.0f ? value : 0.01f * value;
  case GELU: return 0.5f * value * (1.0f + erff(value * 0.70710678f));
  case SIGMOID: return 1.0f / (1.0f + expf(-value));
  default: return tanhf(value);
  }
}

/* First and last output (exclusive) whose tap lies inside the input. */
static void span(int32_t tap, int32_t pad, int32_t stride, int32_t side, int32_t n_out,
                 int32_t *begin, int32_t *end) {
  int32_t missing = pad - tap, last = side - 1 + pad - tap;
  *begin = missing > 0 ? (missing + stride - 1) / stride : 0;
  *end = last < 0 ? 0 : at_most(n_out, last / stride + 1);
}

static void add_tap(const struct step *s, const float *plane, float *sums, int32_t ky, int32_t kx,
                    float value) {
  int32_t top, bottom, left, right;
  span(ky, s->ph, s->sh, s->h, s->oh, &top, &bottom);
  span(kx, s->pw, s->sw, s->w, s->ow, &left, &right);
  for (int32_t y = top; y < bottom; y++) {
    const float *row = plane + (y * s->sh + ky - s->ph) * s->w + kx - s->pw;
    float *line = sums + y * s->ow;
    if (s->sw == 1 && value == 1.0f)
      for (int32_t x = left; x < right; x++) line[x] += row[x];
    else if (value == 1.0f)
      for (int32_t x = left; x < right; x++) line[x] += row[x * s->sw];
    else
      for (int32_t x = left; x < right; x++) line[x] += value * row[x * s->sw];
  }
}

/* Products of n weights in single precision, in as many sums as a vector has. */
static float dense_dot(const uint8_t *weight, const float *in, uint32_t n) {
  float parts[16] = {0.0f}, sum = 0.0f;
  uint32_t k = 0;
  for (; k + 16 <= n; k += 16)
    for (uint32_t lane = 0; lane < 16; lane++)
      parts[lane] += f32_at(weight + 4 * (k + lane)) * in[k + lane];
  for (; k < n; k++) sum += f32_at(weight + 4 * k) * in[k];
  for (uint32_t lane = 0; lane < 16; lane++) sum += parts[lane];
  return sum;
}

/* All weights of one output of a linear layer. */
static void dot(const struct step *s, struct reader *r, const float *in, float *out, float left,
                float right, int32_t channel, float a, float b) {
  uint32_t row = (uint32_t)s->c, start = (uint32_t)channel * row, index;
  float plus = 0.0f, minus = 0.0f, value;
  int ternary = is_ternary(r->tensor);
  if (r->tensor->form == FLOATS) {
    plus = dense_dot(r->tensor->data + 4 * start, in, row);
    r->next = start + row;
  }
  while (next_value(r, start + row, &index, &value)) {
    if (!ternary)
      plus += value * in[index - start];
    else if (value > 0.0f)
      plus += in[index - start];
    else
      minus += in[index - start];
  }
  if (ternary) plus = right * plus - left * minus;
  out[channel] = activated(a * plus + b, s->activation);
}

static void slow_channel(const struct step *s, struct reader *r, const float *in, float *plus,
                         float *minus, float left, float right, int32_t channel, float a,
                         float b) {
  uint32_t kernel = (uint32_t)(s->kh * s->kw), row = (uint32_t)s->c * kernel;
  uint32_t index, start = (uint32_t)channel * row;
  int32_t n = s->oh * s->ow, ternary = is_ternary(r->tensor);
  float value;
  memset(plus, 0, sizeof(float) * (size_t)n);
  if (ternary) memset(minus, 0, sizeof(float) * (size_t)n);
  while (next_value(r, start + row, &index, &value)) {
    uint32_t tap = (index - start) % kernel;
    const float *plane = in + (index - start) / kernel * (uint32_t)(s->h * s->w);
    int32_t ky = (int32_t)tap / s->kw, kx = (int32_t)tap % s->kw;
    if (ternary)
      add_tap(s, plane, value > 0.0f ? plus : minus, ky, kx, 1.0f);
    else
      add_tap(s, plane, plus, ky, kx, value);
  }
  for (int32_t k = 0; k < n; k++) {
    float sum = ternary ? right * plus[k] - left * minus[k] : plus[k];
    plus[k] = activated(a * sum + b, s->activation);
  }
}

/* Where a processor has vectors, planes with a border of zeros are added as one long row: each
 * weight is one place in them. Sums stay in registers while all weights pass: TILE of one channel
 * where zeros are left out, half as many of GROUP channels where all weights are taken. */
#if defined(__GNUC__) && (defined(__SSE2__) || defined(__ARM_NEON)) && \
    __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define TILE 64
typedef float lanes __attribute__((vector_size(64)));
enum { LANES = 16, GROUP = 4 };

#define LOAD(to, from) memcpy(&(to), from, sizeof(to))

/* `whole` is a constant where it is called: a tile of which half is enough costs half. */
static inline void add_tile(const float *in, const float *places, const float *values,
                            int32_t count, float *sums, int whole) {
  lanes a = {0}, b = {0}, c = {0}, d = {0}, x;
  for (int32_t k = 0; k < count; k++) {
    int32_t place;
    memcpy(&place, places + k, 4);
    const float *from = in + place, value = values[k];
    LOAD(x, from), a += value * x;
    LOAD(x, from + LANES), b += value * x;
    if (!whole) continue;
    LOAD(x, from + 2 * LANES), c += value * x;
    LOAD(x, from + 3 * LANES), d += value * x;
  }
  memcpy(sums, &a, sizeof a), memcpy(sums + LANES, &b, sizeof b);
  if (!whole) return;
  memcpy(sums + 2 * LANES, &c, sizeof c), memcpy(sums + 3 * LANES, &d, sizeof d);
}

/* The same for the weights of GROUP channels, which lie one after the other. */
static inline void add_block(const float *in, const float *places, const uint8_t *const *weights,
                             int32_t count, float *sums, int32_t line, int whole) {
  lanes a = {0}, b = {0}, c = {0}, d = {0}, e = {0}, f = {0}, g = {0}, h = {0}, x, y = {0};
  for (int32_t k = 0; k < count; k++) {
    int32_t place;
    float u, v, w, z;
    memcpy(&place, places + k, 4);
    LOAD(u, weights[0] + 4 * k), LOAD(v, weights[1] + 4 * k);
    LOAD(w, weights[2] + 4 * k), LOAD(z, weights[3] + 4 * k);
    LOAD(x, in + place);
    a += u * x, b += v * x, c += w * x, d += z * x;
    if (!whole) continue;
    LOAD(y, in + place + LANES);
    e += u * y, f += v * y, g += w * y, h += z * y;
  }
  memcpy(sums, &a, sizeof a), memcpy(sums + line, &b, sizeof b);
  memcpy(sums + 2 * line, &c, sizeof c), memcpy(sums + 3 * line, &d, sizeof d);
  if (!whole) return;
  sums += LANES;
  memcpy(sums, &e, sizeof e), memcpy(sums + line, &f, sizeof f);
  memcpy(sums + 2 * line, &g, sizeof g), memcpy(sums + 3 * line, &h, sizeof h);
}
#else
#define TILE 0
#endif

#if TILE
/* How the fast way cuts an input: a plane for each phase of the strides, so that the values of
 * neighboring outputs lie side by side. */
struct cut {
  uint64_t row, plane, taps;
};

static struct cut cut_of(const struct step *s) {
  struct cut found;
  found.row = ((uint64_t)s->w + 2 * (uint64_t)s->pw + (uint64_t)s->sw - 1) / (uint64_t)s->sw;
  found.plane =
      ((uint64_t)s->h + 2 * (uint64_t)s->ph + (uint64_t)s->sh - 1) / (uint64_t)s->sh * found.row;
  found.taps = (uint64_t)s->c * (uint64_t)s->kh * (uint64_t)s->kw;
  return found;
}

/* Floats of scratch that the fast way needs; 0 where it cannot be taken. A device with less takes
 * the slow one. */
static uint64_t fast_floats(const struct step *s) {
  struct cut cut = cut_of(s);
  uint64_t phases = (uint64_t)s->sh * (uint64_t)s->sw;
  if (s->oh * s->ow < 8 || phases > 64 || cut.plane > MOST_VALUES) return 0;
  return (uint64_t)s->c * phases * cut.plane + TILE + GROUP * ((uint64_t)s->oh * cut.row + TILE) +
         (GROUP + 2) * cut.taps + 2;
}

/* Places and values of the non-zeros of one output channel; how many. */
static int32_t collected(struct reader *r, uint32_t start, uint32_t limit, const float *offsets,
                         const float *levels, float *places, float *values) {
  const struct tensor *t = r->tensor;
  int32_t count = 0, ternary = is_ternary(t);
  uint32_t index;
  float value;
  if (t->form == GAPS) {
    uint32_t next = r->next, byte = r->byte, code;
    while (byte < t->n_bytes) {
      code = t->data[byte];
      uint32_t place = next + (code & 127u);
      if (place >= limit) break;
      byte++;
      next = place + (code != SKIP);
      memcpy(places + count, offsets + (place < start ? 0 : place - start), 4);
      values[count] = levels[code >> 7];
      count += code != SKIP;
    }
    r->next = next, r->byte = byte;
    return count;
  }
  if (t->form == BITMAP) {
    const uint8_t *signs = t->data + map_bytes(t->n_values);
    for (index = start; index < limit;) {
      uint32_t bits = (uint32_t)t->data[index >> 3] >> (index & 7), step = 8 - (index & 7);
      if (limit - index < 8) bits &= (1u << (limit - index)) - 1;
      for (; bits != 0; bits &= bits - 1, r->kept++) {
        uint32_t at = index + (uint32_t)__builtin_ctz(bits);
        memcpy(places + count, offsets + (at - start), 4);
        values[count++] = levels[!(signs[r->kept >> 3] >> (r->kept & 7) & 1)];
      }
      index += step;
    }
    return count;
  }
  while (next_value(r, limit, &index, &value)) {
    memcpy(places + count, offsets + (index - start), 4);
    values[count++] = ternary ? levels[value < 0.0f] : value;
  }
  return count;
}

/* The input with its border, cut into phases; where each weight of a channel finds its values. */
static void laid_out(const struct step *s, const struct cut *cut, const float *in, float *padded,
                     float *offsets) {
  int32_t row = (int32_t)cut->row, plane = (int32_t)cut->plane, phases = s->sh * s->sw;
  memset(padded, 0, sizeof(float) * (size_t)(s->c * phases * plane + TILE));
  for (int32_t c = 0, k = 0; c < s->c; c++) {
    float *planes = padded + c * phases * plane;
    for (int32_t y = s->ph; y < s->h + s->ph; y++, in += s->w) {
      float *line = planes + y % s->sh * s->sw * plane + y / s->sh * row;
      if (s->sw == 1)
        memmove(line + s->pw, in, sizeof(float) * (size_t)s->w);
      else
        for (int32_t x = s->pw; x < s->w + s->pw; x++)
          line[x % s->sw * plane + x / s->sw] = in[x - s->pw];
    }
    for (int32_t y = 0; y < s->kh; y++)
      for (int32_t x = 0; x < s->kw; x++) {
        int32_t phase = y % s->sh * s->sw + x % s->sw;
        int32_t place = (c * phases + phase) * plane + y / s->sh * row + x / s->sw;
        memcpy(offsets + k++, &place, 4); /* whole numbers lie in the arena as bytes */
      }
  }
}

/* Whether a form has so few zeros that to leave them out gains nothing. */
static int is_dense(const struct tensor *t) {
  return t->form != BITMAP && t->form != GAPS && t->form != SPARSE;
}

/* n values of a dense form from an index on; levels are the positive and the negative one. */
static void unpacked(struct reader *r, uint32_t index, uint32_t n, const float *levels,
                     float *values) {
  const struct tensor *t = r->tensor;
  const float three[3] = {levels[1], 0.0f, levels[0]};
  const uint8_t *data = t->data;
  uint32_t code;
  switch (t->form) {
  case BYTES:
    for (uint32_t k = 0; k < n; k++) values[k] = (float)(data[index + k] ^ 128) - 128.0f;
    break;
  case NIBBLES:
    for (uint32_t k = 0, at = index; k < n; k++, at++)
      values[k] = (float)((data[at >> 1] >> 4 * (at & 1) & 15) ^ 8) - 8.0f;
    break;
  case ONE_BIT:
    for (uint32_t k = 0, at = index; k < n; k++, at++)
      values[k] = levels[!(data[at >> 3] >> (at & 7) & 1)];
    break;
  case TRITS:
    for (uint32_t at = index, end = index + n; at < end;) {
      code = data[at / 5];
      for (uint32_t skip = at % 5; skip > 0; skip--) code /= 3;
      do {
        *values++ = three[code % 3];
        code /= 3;
      } while (++at < end && at % 5 != 0);
    }
    break;
  default:
    for (uint32_t k = 0; k < n; k++) {
      float value = value_at(r, index + k);
      values[k] = is_ternary(t) ? three[(value > 0.0f) - (value < 0.0f) + 1] : value;
    }
  }
}

/* Where the weights of a group of channels lie as floats; the last channel stands in for more. */
static void dense_weights(struct reader *r, int32_t channel, int32_t n_channels, int32_t taps,
                          const float *levels, float *values, const uint8_t **weights) {
  const struct tensor *t = r->tensor;
  for (int32_t j = 0; j < GROUP; j++) {
    int32_t each = at_most(j, n_channels - channel - 1);
    uint32_t start = (uint32_t)((channel + each) * taps);
    weights[j] = t->data + 4 * start;
    if (t->form == FLOATS) continue;
    weights[j] = (const uint8_t *)(values + each * taps);
    if (each == j) unpacked(r, start, (uint32_t)taps, levels, values + j * taps);
  }
}

/* One channel of the output from its sums. */
static void finished(const struct step *s, const float *sums, int32_t row, float a, float b,
                     float *out) {
  float leak = s->activation == RELU ? 0.0f : s->activation == LEAKY_RELU ? 0.01f : 1.0f;
  for (int32_t y = 0; y < s->oh; y++, out += s->ow) {
    for (int32_t x = 0; x < s->ow; x++) {
      float sum = a * sums[y * row + x] + b;
      out[x] = sum > 0.0f ? sum : leak * sum;
    }
    if (s->activation > LEAKY_RELU)
      for (int32_t x = 0; x < s->ow; x++) out[x] = activated(out[x], s->activation);
  }
}

static void fast(const struct step *s, struct reader *r, const float *in, float *out, float *scratch,
                 const uint8_t *scale, const uint8_t *shift) {
  struct cut cut = cut_of(s);
  const struct tensor *t = r->tensor;
  const float levels[2] = {t->right, -t->left};
  int32_t row = (int32_t)cut.row, taps = (int32_t)cut.taps, length = (s->oh - 1) * row + s->ow;
  int32_t line = s->oh * row + TILE, dense = is_dense(t);
  float *padded = scratch, *sums = padded + s->c * s->sh * s->sw * (int32_t)cut.plane + TILE;
  float *offsets = sums + GROUP * line, *places = offsets + taps, *values = places + taps + 1;
  laid_out(s, &cut, in, padded, offsets);
  for (int32_t channel = 0; channel < s->oc;) {
    int32_t n = dense ? at_most(GROUP, s->oc - channel) : 1;
    if (dense) {
      const uint8_t *weights[GROUP];
      dense_weights(r, channel, s->oc, taps, levels, values, weights);
      for (int32_t at = 0; at < length; at += 2 * LANES)
        if (length - at <= LANES)
          add_block(padded + at, offsets, weights, taps, sums + at, line, 0);
        else
          add_block(padded + at, offsets, weights, taps, sums + at, line, 1);
    } else {
      uint32_t start = (uint32_t)(channel * taps);
      int32_t count = collected(r, start, start + (uint32_t)taps, offsets, levels, places, values);
      for (int32_t at = 0; at < length; at += TILE)
        if (length - at <= TILE / 2)
          add_tile(padded + at, places, values, count, sums + at, 0);
        else
          add_tile(padded + at, places, values, count, sums + at, 1);
    }
    for (int32_t j = 0; j < n; j++, channel++, out += s->oh * s->ow)
      finished(s, sums + j * line, row, f32_at(scale + 4 * channel),
               f32_at(shift + 4 * channel), out);
  }
}
#endif

static void convolution(const uint8_t *model, const struct step *s, const float *in, float *out,
                        float *scratch) {
  struct tensor weight = tensor_at(model, s->weight), scale = tensor_at(model, s->scale),
                shift = tensor_at(model, s->shift);
  struct reader r = reader_of(&weight);
  int32_t n = s->oh * s->ow;
#if TILE
  uint64_t needed = fast_floats(s);
  if (needed > 0 && needed <= u32_at(model + 36) && u32_at(model + 56) > 0) {
    fast(s, &r, in, out, scratch, scale.data, shift.data);
    return;
  }
#endif
  for (int32_t channel = 0; channel < s->oc; channel++) {
    float a = f32_at(scale.data + 4 * channel), b = f32_at(shift.data + 4 * channel);
    if (n == 1 && s->kh * s->kw == 1 && s->h * s->w == 1 && s->ph + s->pw == 0)
      dot(s, &r, in, out, weight.left, weight.right, channel, a, b);
    else
      slow_channel(s, &r, in, out + channel * n, scratch, weight.left, weight.right, channel, a,
                   b);
  }
}

/* The usual case: the largest of two by two, or of two in a row. */
static void halve(const struct step *s, const float *in, float *out) {
  for (int32_t c = 0; c < s->c; c++, in += s->h * s->w)
    for (int32_t y = 0; y < s->oh; y++, out += s->ow) {
      const float *top = in + s->kh * y * s->w, *bottom = top + (s->kh - 1) * s->w;
      for (int32_t x = 0; x < s->ow; x++) {
        float a = top[2 * x] > top[2 * x + 1] ? top[2 * x] : top[2 * x + 1];
        float b = bottom[2 * x] > bottom[2 * x + 1] ? bottom[2 * x] : bottom[2 * x + 1];
        out[x] = a > b ? a : b;
      }
    }
}

static void pool(const struct step *s, const float *in, float *out) {
  if (s->kind == MAX_POOL && s->kh <= 2 && s->kw == 2 && s->sh == s->kh && s->sw == 2 &&
      s->kh * s->oh <= s->h && 2 * s->ow <= s->w) {
    halve(s, in, out);
    return;
  }
  for (int32_t c = 0; c < s->c; c++, in += s->h * s->w)
    for (int32_t y = 0; y < s->oh; y++)
      for (int32_t x = 0; x < s->ow; x++) {
        int32_t bottom = at_most(s->h, y * s->sh + s->kh), right = at_most(s->w, x * s->sw + s->kw);
        float most = in[y * s->sh * s->w + x * s->sw], sum = 0.0f;
        for (int32_t v = y * s->sh; v < bottom; v++)
          for (int32_t u = x * s->sw; u < right; u++) {
            float value = in[v * s->w + u];
            sum += value;
            if (value > most) most = value;
          }
        int32_t n = (bottom - y * s->sh) * (right - x * s->sw);
        *out++ = s->kind == MAX_POOL ? most : sum / (float)n;
      }
}

static void moments(const struct step *s, const float *in, float *out) {
  int32_t n = s->h * s->w;
  for (int32_t c = 0; c < s->c; c++, in += n) {
    float most = in[0];
    double sum = 0.0;
    for (int32_t k = 0; k < n; k++) {
      sum += in[k];
      if (in[k] > most) most = in[k];
    }
    out[c] = (float)(sum / n);
    if (s->kind == MOMENTS) out[s->c + c] = most;
  }
}

static void affine(const uint8_t *model, const struct step *s, const float *in, float *out) {
  struct tensor scale = tensor_at(model, s->scale), shift = tensor_at(model, s->shift);
  uint32_t n = (uint32_t)(s->c * s->h * s->w), by = scale.n_values == 1 ? 0 : 4;
  uint32_t step = shift.n_values == 1 ? 0 : 4;
  for (uint32_t k = 0; k < n; k++)
    out[k] = activated(in[k] * f32_at(scale.data + by * k) + f32_at(shift.data + step * k),
                       s->activation);
}

static void signed_log(const struct step *s, const float *in, float *out) {
  int32_t n = s->c * s->h * s->w;
  memmove(out, in, sizeof(float) * (size_t)n);
  for (int32_t k = 0; k < n; k++) {
    float size = log1pf(4.0f * fabsf(in[k]));
    out[n + k] = in[k] < 0.0f ? -size : size;
  }
}

static void quantiles(const uint8_t *model, const struct step *s, const float *in, float *out) {
  struct tensor edges = tensor_at(model, s->weight);
  int32_t n = s->c * s->h * s->w, n_bins = s->oc * s->oh * s->ow / n;
  for (int32_t k = 0; k < n; k++)
    for (int32_t bin = 0; bin < n_bins; bin++) {
      const uint8_t *place = edges.data + 4 * (k * (n_bins + 1) + bin);
      float low = f32_at(place), width = f32_at(place + 4) - low;
      float passed = (in[k] - low) / (width > 1e-12f ? width : 1e-12f);
      *out++ = 2.0f * (passed < 0.0f ? 0.0f : passed > 1.0f ? 1.0f : passed) - 1.0f;
    }
}

static void layer_norm(const uint8_t *model, const struct step *s, const float *in, float *out) {
  struct tensor eps = tensor_at(model, s->weight), scale = tensor_at(model, s->scale),
                shift = tensor_at(model, s->shift);
  int32_t n = s->c * s->h * s->w;
  double mean = 0.0, variance = 0.0;
  for (int32_t k = 0; k < n; k++) mean += in[k];
  mean /= n;
  for (int32_t k = 0; k < n; k++) variance += (in[k] - mean) * (in[k] - mean);
  double size = 1.0 / sqrt(variance / n + f32_at(eps.data));
  for (int32_t k = 0; k < n; k++)
    out[k] = (float)((in[k] - mean) * size) * f32_at(scale.data + 4 * k) +
             f32_at(shift.data + 4 * k);
}

static void softmax(const float *in, float *out, int32_t n, float sharpness) {
  float most = in[0] * sharpness, sum = 0.0f;
  for (int32_t k = 1; k < n; k++) most = fmaxf(most, in[k] * sharpness);
  for (int32_t k = 0; k < n; k++) sum += out[k] = expf(in[k] * sharpness - most);
  for (int32_t k = 0; k < n; k++) out[k] /= sum;
}

/* Log of the mixture of the members' probabilities. */
static void mix(const uint8_t *model, const struct step *s, const float *in, float *out) {
  struct tensor weight = tensor_at(model, s->weight);
  int32_t n = s->ow, n_members = s->c * s->h * s->w / n;
  float total = 0.0f;
  for (int32_t k = 0; k < n; k++) out[k] = 0.0f;
  for (int32_t member = 0; member < n_members; member++) {
    float most = in[member * n], sum = 0.0f;
    for (int32_t k = 1; k < n; k++) most = fmaxf(most, in[member * n + k]);
    for (int32_t k = 0; k < n; k++) sum += expf(in[member * n + k] - most);
    for (int32_t k = 0; k < n; k++)
      out[k] += f32_at(weight.data + 4 * (member * n + k)) * expf(in[member * n + k] - most) / sum;
  }
  for (int32_t k = 0; k < n; k++) total += out[k];
  for (int32_t k = 0; k < n; k++) out[k] = logf(fmaxf(out[k] / total, 1e-38f));
}

/* The kinds from FRAME to BLEND, in attention.c. */
static void run_sequence_step(const uint8_t *model, const struct step *s, const float *in,
                              const float *other, float *out, float *scratch);
static int sequence_step_fits(const uint8_t *model, const struct step *s, uint64_t n,
                              uint64_t made);

/* Those from SPECTRUM to MEASURES, in front_end.c. */
static void run_front_end(const uint8_t *model, const struct step *s, const float *in, float *out,
                          float *scratch);
static int front_end_fits(const uint8_t *model, const struct step *s, uint64_t n, uint64_t made);

/* Those from QUANTIZE on, in integer.c. */
static void run_integer(const uint8_t *model, const struct step *s, const float *in,
                        const float *other, float *out, float *scratch);
static int integer_fits(const uint8_t *model, const struct step *s, uint64_t n, uint64_t made);

static void run_step(const uint8_t *model, const struct step *s, float *arena, float *scratch,
                     const float *const *inputs) {
  const float *in = s->first < 0 ? inputs[-1 - s->first] : arena + s->first;
  const float *other = s->second < 0 ? inputs[-1 - s->second] : arena + s->second;
  float *out = arena + s->out;
  int32_t n = s->c * s->h * s->w;
  switch (s->kind) {
  case CONVOLUTION: convolution(model, s, in, out, scratch); break;
  case MAX_POOL:
  case MEAN_POOL: pool(s, in, out); break;
  case MOMENTS:
  case MEAN: moments(s, in, out); break;
  case ADD:
    for (int32_t k = 0; k < n; k++) out[k] = activated(in[k] + other[k], s->activation);
    break;
  case MULTIPLY:
    for (int32_t k = 0; k < n; k++) out[k] = activated(in[k] * other[k], s->activation);
    break;
  case AFFINE: affine(model, s, in, out); break;
  case SIGNED_LOG: signed_log(s, in, out); break;
  case QUANTILES: quantiles(model, s, in, out); break;
  case COPY: memmove(out, in, sizeof(float) * (size_t)n); break;
  case LAYER_NORM: layer_norm(model, s, in, out); break;
  case MIX: mix(model, s, in, out); break;
  case SOFTMAX: softmax(in, out, n, f32_at(tensor_at(model, s->scale).data)); break;
  default:
    if (s->kind >= QUANTIZE)
      run_integer(model, s, in, other, out, scratch);
    else if (s->kind >= SPECTRUM)
      run_front_end(model, s, in, out, scratch);
    else
      run_sequence_step(model, s, in, other, out, scratch);
  }
}

/* Probabilities of one sample, by a model that was checked. */
static void emb_run(const uint8_t *model, float *arena, const float *const *inputs,
                    float *probabilities) {
  const uint8_t *row = steps_of(model);
  uint32_t n_steps = u32_at(model + 24);
  float *scratch = arena + u32_at(model + 56);
  for (uint32_t k = 0; k < n_steps; k++, row += STEP) {
    struct step s = step_at(row);
    run_step(model, &s, arena, scratch, inputs);
  }
  memcpy(probabilities, arena + u32_at(model + 44), sizeof(float) * u32_at(model + 40));
}

/* ---- whether a model can be run ---- */

static uint32_t crc32_of(const uint8_t *data, uint32_t size) {
  uint32_t crc = ~0u;
  for (uint32_t k = 0; k < size; k++) {
    crc ^= data[k];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0u);
  }
  return ~crc;
}

static uint32_t count_bits(const uint8_t *data, uint32_t n_bits) {
  uint32_t n = 0;
  for (uint32_t k = 0; k < n_bits; k++) n += data[k >> 3] >> (k & 7) & 1u;
  return n;
}

/* Whether the bytes of a tensor hold all of its values. */
static int tensor_fits(const struct tensor *t) {
  uint32_t n = t->n_values, map = map_bytes(n);
  if (n == 0 || n > MOST_VALUES) return 0;
  switch (t->form) {
  case FLOATS: return t->n_bytes == 4 * n;
  case TWO_BIT: return t->n_bytes >= (n + 3) / 4;
  case TRITS: return t->n_bytes >= (n + 4) / 5;
  case BITMAP:
    return t->n_bytes >= map && t->n_bytes - map >= map_bytes(count_bits(t->data, n));
  case GAPS: {
    uint64_t place = 0;
    for (uint32_t k = 0; k < t->n_bytes; k++) {
      place += t->data[k] & 127u;
      if (t->data[k] == SKIP) continue;
      if (place >= n) return 0;
      place++;
    }
    return 1;
  }
  case ONE_BIT: return t->n_bytes >= map;
  case BYTES: return t->n_bytes >= n;
  case NIBBLES: return t->n_bytes >= (n + 1) / 2;
  case CODEBOOK: {
    if (t->n_bytes < 4 || t->data[0] < 1 || t->data[0] > 8) return 0;
    uint32_t n_levels = (uint32_t)t->data[1] + 1, head = 4 + 4 * n_levels;
    if (t->n_bytes < head || t->n_bytes - head < (n * t->data[0] + 7) / 8) return 0;
    for (uint32_t k = 0; k < n; k++)
      if (bits_at(t->data + head, k, t->data[0]) >= n_levels) return 0;
    return 1;
  }
  case SPARSE: {
    uint32_t head = (map + 3u) & ~3u;
    return t->n_bytes >= head && t->n_bytes - head >= 4 * count_bits(t->data, n);
  }
  default: return 0;
  }
}

static int positive(const int32_t *values, int n) {
  for (int k = 0; k < n; k++)
    if (values[k] < 1 || values[k] > MOST_SIDE) return 0;
  return 1;
}

static uint64_t product(const int32_t *sides) {
  uint64_t n = (uint64_t)sides[0] * (uint64_t)sides[1];
  return n > MOST_VALUES ? n : n * (uint64_t)sides[2];
}

/* Whether n floats can be read at a place. */
static int readable(const uint8_t *model, int32_t place, uint64_t n) {
  if (place >= 0) return (uint64_t)place + n <= u32_at(model + 32);
  uint32_t number = (uint32_t)(-1 - place);
  return number < u32_at(model + 20) && n <= u32_at(model + HEADER + INPUT * number + 4);
}

/* Whether a tensor is there, in single precision, with n values. */
static int has_floats(const uint8_t *model, int32_t number, uint64_t n) {
  if (number < 0 || (uint32_t)number >= u32_at(model + 28)) return 0;
  struct tensor t = tensor_at(model, number);
  return t.form == FLOATS && t.n_values == n;
}

static int side_fits(int32_t side, int32_t kernel, int32_t stride, int32_t pad, int32_t out) {
  return side + 2 * pad >= kernel && out == (side + 2 * pad - kernel) / stride + 1;
}

static int convolution_fits(const uint8_t *model, const struct step *s) {
  uint64_t taps = (uint64_t)s->c * (uint64_t)s->kh * (uint64_t)s->kw;
  if (taps > MOST_VALUES || s->weight < 0 || (uint32_t)s->weight >= u32_at(model + 28)) return 0;
  return tensor_at(model, s->weight).n_values == taps * (uint64_t)s->oc &&
         s->ph >= 0 && s->pw >= 0 && s->ph < MOST_SIDE && s->pw < MOST_SIDE &&
         side_fits(s->h, s->kh, s->sh, s->ph, s->oh) &&
         side_fits(s->w, s->kw, s->sw, s->pw, s->ow) &&
         has_floats(model, s->scale, (uint64_t)s->oc) &&
         has_floats(model, s->shift, (uint64_t)s->oc);
}

/* Whether a step has its scratch and writes n floats beside it: its places lie there. All of the
 * scratch, where it is not at the start of the arena and convolutions may take more than `least`. */
static int beside_scratch(const uint8_t *model, const struct step *s, uint64_t n, uint64_t least) {
  uint64_t at = u32_at(model + 56), there = u32_at(model + 36), out = (uint64_t)s->out;
  return least <= there && (out >= at + (at > 0 ? there : least) || out + n <= at);
}

static int step_fits(const uint8_t *model, const struct step *s) {
  int32_t in[3] = {s->c, s->h, s->w}, out[3] = {s->oc, s->oh, s->ow};
  int32_t windows[4] = {s->kh, s->kw, s->sh, s->sw};
  if (s->kind < 0 || s->kind >= N_KINDS || s->activation < 0 || s->activation >= N_ACTIVATIONS ||
      !positive(in, 3) || !positive(out, 3) || !positive(windows, 4))
    return 0;
  uint64_t n = product(in), made = product(out);
  if (n > MOST_VALUES || made > MOST_VALUES || s->out < 0) return 0;
  if (!readable(model, s->second, 1)) return 0;
  if (s->kind >= QUANTIZE) return integer_fits(model, s, n, made);
  if (!readable(model, s->out, made) || !readable(model, s->first, n)) return 0;
  switch (s->kind) {
  case CONVOLUTION:
    return convolution_fits(model, s) &&
           beside_scratch(model, s, made, (uint64_t)s->oh * (uint64_t)s->ow);
  case MAX_POOL:
  case MEAN_POOL:
    return s->oc == s->c && (int64_t)(s->oh - 1) * s->sh < s->h &&
           (int64_t)(s->ow - 1) * s->sw < s->w;
  case MOMENTS: return made == 2 * (uint64_t)s->c;
  case MEAN: return made == (uint64_t)s->c;
  case ADD:
  case MULTIPLY: return made == n && readable(model, s->second, n);
  case AFFINE:
    return made == n && (has_floats(model, s->scale, 1) || has_floats(model, s->scale, n)) &&
           (has_floats(model, s->shift, 1) || has_floats(model, s->shift, n));
  case SIGNED_LOG: return made == 2 * n;
  case QUANTILES: return made % n == 0 && has_floats(model, s->weight, made + n);
  case COPY: return made == n;
  case LAYER_NORM:
    return made == n && has_floats(model, s->weight, 1) && has_floats(model, s->scale, n) &&
           has_floats(model, s->shift, n);
  case MIX: return made == (uint64_t)s->ow && n % made == 0 && has_floats(model, s->weight, n);
  case SOFTMAX: return made == n && has_floats(model, s->scale, 1);
  default:
    return s->kind >= SPECTRUM ? front_end_fits(model, s, n, made)
                               : sequence_step_fits(model, s, n, made);
  }
}

/* Whether emb_run may run it: EMB_OK, or why not. */
static int emb_check(const uint8_t *model, uint32_t size) {
  if (size < HEADER || memcmp(model, "EMBOSCOP", 8) != 0) return EMB_NO_MODEL;
  if (u32_at(model + 8) != VERSION) return EMB_VERSION;
  if (u32_at(model + 12) != size) return EMB_SIZE;
  if (crc32_of(model + HEADER, size - HEADER) != u32_at(model + 16)) return EMB_CHECKSUM;
  uint64_t n_inputs = u32_at(model + 20), n_steps = u32_at(model + 24);
  uint64_t n_tensors = u32_at(model + 28), n_arena = u32_at(model + 32);
  uint64_t n_scratch = u32_at(model + 36), n_classes = u32_at(model + 40);
  uint64_t tables = HEADER + INPUT * n_inputs + 15 + STEP * n_steps + 15 + TENSOR * n_tensors;
  if (tables > size || n_arena > MOST_VALUES || n_classes < 1 ||
      n_scratch + u32_at(model + 56) > n_arena || n_classes + u32_at(model + 44) > n_arena)
    return EMB_MALFORMED;
  for (uint32_t k = 0; k < n_tensors; k++) {
    const uint8_t *row = tensors_of(model) + TENSOR * k;
    if ((uint64_t)u32_at(row + 12) + u32_at(row + 16) > size) return EMB_MALFORMED;
    struct tensor t = tensor_at(model, (int32_t)k);
    if (!tensor_fits(&t)) return EMB_MALFORMED;
  }
  for (uint32_t k = 0; k < n_steps; k++) {
    struct step s = step_at(steps_of(model) + STEP * k);
    if (!step_fits(model, &s)) return EMB_MALFORMED;
  }
  return EMB_OK;
}
