/* ---- whole numbers: activations of 8 bits, sums of 16 and 32 ---- */

#if defined(__ARM_FEATURE_DSP)
#include <arm_acle.h>
#endif

enum { BLOCK = 16, SAFE = 258 }; /* 258 numbers of at most 127 fit in 16 bits */

/* To the nearest whole number, ties to even, within a byte: by the last bits of a large float. */
static int8_t rounded(float value) {
  uint32_t bits;
  float moved = value > -127.0f ? value < 127.0f ? value : 127.0f : -127.0f;
  moved += 12582912.0f;
  memcpy(&bits, &moved, 4);
  return (int8_t)((int32_t)bits - 0x4B400000);
}

/* Rounded by itself: joined with a sum, the product would round otherwise on some processors. */
static float product_of(float a, float b) {
  volatile float product = a * b;
  return product;
}

static int32_t place_at(const float *places, int32_t k) {
  int32_t place;
  memcpy(&place, places + k, 4);
  return place;
}

#if defined(__ARM_FEATURE_DSP)
#define TURNED(word) ((word) >> 8 | (word) << 24)

/* Four sums that lie in two words: the first and third in one, the others in the other. */
static void add_two(int16x2_t even, int16x2_t odd, int32_t *sums) {
  sums[0] += (int16_t)((uint32_t)even & 0xFFFFu), sums[1] += (int16_t)((uint32_t)odd & 0xFFFFu);
  sums[2] += (int16_t)((uint32_t)even >> 16), sums[3] += (int16_t)((uint32_t)odd >> 16);
}
#endif

/* Sums of at most SAFE rows of BLOCK bytes. */
static void add_rows(const int8_t *in, const float *places, int32_t count, int32_t *sums) {
#if defined(__ARM_FEATURE_DSP)
  int16x2_t a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0; /* two sums each */
  for (int32_t k = 0; k < count; k++) {
    const int8_t *from = in + place_at(places, k);
    uint32_t word;
    memcpy(&word, from, 4);
    a = __sxtab16(a, (int8x4_t)word), b = __sxtab16(b, (int8x4_t)TURNED(word));
    memcpy(&word, from + 4, 4);
    c = __sxtab16(c, (int8x4_t)word), d = __sxtab16(d, (int8x4_t)TURNED(word));
    memcpy(&word, from + 8, 4);
    e = __sxtab16(e, (int8x4_t)word), f = __sxtab16(f, (int8x4_t)TURNED(word));
    memcpy(&word, from + 12, 4);
    g = __sxtab16(g, (int8x4_t)word), h = __sxtab16(h, (int8x4_t)TURNED(word));
  }
  add_two(a, b, sums), add_two(c, d, sums + 4), add_two(e, f, sums + 8), add_two(g, h, sums + 12);
#else
  int16_t some[BLOCK] = {0};
  for (int32_t k = 0; k < count; k++) {
    const int8_t *from = in + place_at(places, k);
    for (int x = 0; x < BLOCK; x++) some[x] = (int16_t)(some[x] + from[x]);
  }
  for (int x = 0; x < BLOCK; x++) sums[x] += some[x];
#endif
}

/* Sums of rows times whole numbers, eight at a time, which a small processor keeps in registers. */
static void add_products(const int8_t *in, const float *places, const int8_t *values, int32_t count,
                         int32_t *sums) {
  for (int half = 0; half < BLOCK; half += 8, sums += 8) {
    int32_t a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
    for (int32_t k = 0; k < count; k++) {
      const int8_t *from = in + half + place_at(places, k);
      int32_t value = values[k];
      a += value * from[0], b += value * from[1], c += value * from[2], d += value * from[3];
      e += value * from[4], f += value * from[5], g += value * from[6], h += value * from[7];
    }
    sums[0] += a, sums[1] += b, sums[2] += c, sums[3] += d;
    sums[4] += e, sums[5] += f, sums[6] += g, sums[7] += h;
  }
}

/* How a strided convolution lies in memory: each phase of rows and columns is a plane of its own,
 * so that every weight reads numbers that stand side by side. */
struct phases {
  int32_t rows, row, plane; /* of one phase of one channel */
};

static struct phases phases_of(const struct step *s) {
  struct phases p;
  p.rows = (s->h + 2 * s->ph + s->sh - 1) / s->sh;
  p.row = (s->w + 2 * s->pw + s->sw - 1) / s->sw;
  p.plane = p.rows * p.row;
  return p;
}

static int32_t place_of(const struct step *s, const struct phases *p, int32_t c, int32_t y,
                        int32_t x) {
  int32_t phase = y % s->sh * s->sw + x % s->sw;
  return (c * s->sh * s->sw + phase) * p->plane + y / s->sh * p->row + x / s->sw;
}

static void spread_out(const struct step *s, const struct phases *p, const int8_t *in, int8_t *to) {
  memset(to, 0, (size_t)(s->c * s->sh * s->sw * p->plane + BLOCK));
  for (int32_t c = 0; c < s->c; c++)
    for (int32_t y = 0; y < s->h; y++)
      for (int32_t x = 0; x < s->w; x++)
        to[place_of(s, p, c, y + s->ph, x + s->pw)] = *in++;
}

/* Floats that the numbers of a step and the weights of one channel take. */
static uint64_t integer_scratch(const struct step *s) {
  uint64_t side = (uint64_t)s->sh * (uint64_t)s->sw, taps;
  uint64_t rows = ((uint64_t)s->h + 2 * (uint64_t)s->ph) / (uint64_t)s->sh + 1;
  uint64_t row = ((uint64_t)s->w + 2 * (uint64_t)s->pw) / (uint64_t)s->sw + 1;
  taps = (uint64_t)s->c * (uint64_t)s->kh * (uint64_t)s->kw;
  return ((uint64_t)s->c * side * rows * row + BLOCK + 3) / 4 + taps + (taps + 3) / 4;
}

/* The non-zeros of a channel: those of +1 from the start of `places`, those of −1 from its end. Of
 * other whole numbers all from the start, and what they are in `values`. */
static void collect(const struct step *s, const struct phases *p, struct reader *r, uint32_t start,
                    float *places, int8_t *values, int32_t *n_plus, int32_t *n_minus) {
  int32_t taps = s->c * s->kh * s->kw, kernel = s->kh * s->kw, ternary = is_ternary(r->tensor);
  uint32_t index;
  float value;
  *n_plus = *n_minus = 0;
  while (next_value(r, start + (uint32_t)taps, &index, &value)) {
    int32_t tap = (int32_t)(index - start), at = tap % kernel;
    int32_t place = place_of(s, p, tap / kernel, at / s->kw, at % s->kw);
    if (ternary && value < 0.0f) {
      memcpy(places + taps - ++*n_minus, &place, 4);
      continue;
    }
    if (!ternary) values[*n_plus] = (int8_t)value;
    memcpy(places + (*n_plus)++, &place, 4);
  }
}

/* Of a linear layer; without values each counts once. */
static int32_t one_sum(const int8_t *in, const float *places, const int8_t *values, int32_t count) {
  int32_t sum = 0;
  for (int32_t k = 0; k < count; k++)
    sum += in[place_at(places, k)] * (values == 0 ? 1 : values[k]);
  return sum;
}

/* What a sum becomes: a byte, or a float. */
static void put(const struct step *s, float value, int8_t *bytes, float *floats, int32_t at) {
  if (floats != 0)
    floats[at] = activated(value, s->activation);
  else
    bytes[at] = rounded(activated(value, s->activation));
}

static void integer_convolution(const uint8_t *model, const struct step *s, const int8_t *in,
                                float *out, float *scratch, int to_float) {
  struct tensor weight = tensor_at(model, s->weight), scale = tensor_at(model, s->scale),
                shift = tensor_at(model, s->shift);
  struct phases p = phases_of(s);
  struct reader r = reader_of(&weight);
  int32_t taps = s->c * s->kh * s->kw, n = s->oh * s->ow, length = (s->oh - 1) * p.row + s->ow;
  int32_t n_plus, n_minus, ternary = is_ternary(&weight);
  float *places = scratch, *values_at = places + taps;
  int8_t *values = (int8_t *)values_at, *planes = (int8_t *)(values_at + (taps + 3) / 4);
  float *floats = to_float ? out : 0;
  int8_t *bytes = (int8_t *)out;
  spread_out(s, &p, in, planes);
  for (int32_t channel = 0; channel < s->oc; channel++) {
    float a = f32_at(scale.data + 4 * channel), b = f32_at(shift.data + 4 * channel);
    float up = ternary ? a * weight.right : a, down = a * weight.left;
    collect(s, &p, &r, (uint32_t)(channel * taps), places, values, &n_plus, &n_minus);
    if (length == 1) {
      float sum = product_of(up, (float)one_sum(planes, places, ternary ? 0 : values, n_plus)) -
                  product_of(down, (float)one_sum(planes, places + taps - n_minus, 0, n_minus));
      put(s, sum + b, bytes, floats, channel);
      continue;
    }
    for (int32_t at = 0, y = 0, x = 0; at < length; at += BLOCK) {
      int32_t plus[BLOCK] = {0}, minus[BLOCK] = {0};
      if (!ternary) add_products(planes + at, places, values, n_plus, plus);
      for (int32_t k = 0; ternary && k < n_plus; k += SAFE)
        add_rows(planes + at, places + k, at_most(SAFE, n_plus - k), plus);
      for (int32_t k = 0; k < n_minus; k += SAFE)
        add_rows(planes + at, places + taps - n_minus + k, at_most(SAFE, n_minus - k), minus);
      for (int32_t k = 0; k < BLOCK && at + k < length; k++) {
        if (x < s->ow) {
          float sum = product_of(up, (float)plus[k]) - product_of(down, (float)minus[k]);
          put(s, sum + b, bytes, floats, channel * n + y * s->ow + x);
        }
        if (++x == p.row) x = 0, y++;
      }
    }
  }
}

static void integer_pool(const struct step *s, const int8_t *in, int8_t *out) {
  for (int32_t c = 0; c < s->c; c++, in += s->h * s->w)
    for (int32_t y = 0; y < s->oh; y++)
      for (int32_t x = 0; x < s->ow; x++) {
        int32_t bottom = at_most(s->h, y * s->sh + s->kh), right = at_most(s->w, x * s->sw + s->kw);
        int8_t most = -128;
        for (int32_t v = y * s->sh; v < bottom; v++)
          for (int32_t u = x * s->sw; u < right; u++)
            if (in[v * s->w + u] > most) most = in[v * s->w + u];
        *out++ = most;
      }
}

static void run_integer(const uint8_t *model, const struct step *s, const float *in,
                        const float *other, float *out, float *scratch) {
  const int8_t *given = (const int8_t *)in, *second = (const int8_t *)other;
  int8_t *made = (int8_t *)out;
  int32_t n = s->c * s->h * s->w;
  if (s->kind == INTEGER_CONVOLUTION || s->kind == INTEGER_LOGITS) {
    integer_convolution(model, s, given, out, scratch, s->kind == INTEGER_LOGITS);
    return;
  }
  if (s->kind == INTEGER_POOL) {
    integer_pool(s, given, made);
    return;
  }
  float a = f32_at(tensor_at(model, s->scale).data), b = f32_at(tensor_at(model, s->shift).data);
  if (s->kind == QUANTIZE)
    for (int32_t k = 0; k < n; k++) made[k] = rounded(product_of(in[k], a) + b);
  else if (s->kind == DEQUANTIZE)
    for (int32_t k = 0; k < n; k++) out[k] = (float)given[k] * a;
  else
    for (int32_t k = 0; k < n; k++)
      made[k] = rounded(activated(product_of((float)given[k], a) + product_of((float)second[k], b),
                                  s->activation));
}

/* Bytes lie in whole floats. */
static uint64_t floats_of(uint64_t bytes) { return (bytes + 3) / 4; }

static int integer_fits(const uint8_t *model, const struct step *s, uint64_t n, uint64_t made) {
  if (s->kind == INTEGER_CONVOLUTION || s->kind == INTEGER_LOGITS) {
    if (s->first < 0 || !readable(model, s->first, floats_of(n)) || !convolution_fits(model, s) ||
        !beside_scratch(model, s, made, integer_scratch(s)))
      return 0;
    uint32_t form = tensor_at(model, s->weight).form;
    return (form >= TWO_BIT && form <= NIBBLES) &&
           readable(model, s->out, s->kind == INTEGER_LOGITS ? made : floats_of(made));
  }
  if (s->kind == INTEGER_POOL)
    return s->first >= 0 && readable(model, s->first, floats_of(n)) &&
           readable(model, s->out, floats_of(made)) && s->oc == s->c &&
           (int64_t)(s->oh - 1) * s->sh < s->h && (int64_t)(s->ow - 1) * s->sw < s->w;
  if (made != n || !has_floats(model, s->scale, 1) || !has_floats(model, s->shift, 1)) return 0;
  if (s->kind == QUANTIZE)
    return readable(model, s->first, n) && readable(model, s->out, floats_of(n));
  if (s->first < 0 || !readable(model, s->first, floats_of(n))) return 0;
  if (s->kind == DEQUANTIZE) return readable(model, s->out, n);
  return s->second >= 0 && readable(model, s->second, floats_of(n)) &&
         readable(model, s->out, floats_of(n));
}
