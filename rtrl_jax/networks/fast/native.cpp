// Convolutions of one image at a time, 3x3 or 1x1, with stride 1, for JAX: `native.py` compiles and registers them.
//
// The image is first packed: its borders become zeros, negative numbers too if asked for, and its numbers 32-bit words of 1
// float32, 2 bfloat16 or 4 uint8. Then a tile of pixels times 16 or 32 outputs stays in registers while all inputs are gone
// through: each word is broadcast and multiplied with 16 words of filters. So the three number formats differ in one instruction.
// In float32 the same products also serve Winograd's way, in which they are four times fewer. A library has one of the formats,
// RTRL_FLOAT32, RTRL_BFLOAT16 or RTRL_INT8: most of the compiler's time goes into the tiles' sizes.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

constexpr int kLanes = 16;  // outputs side by side; also words of a pixel side by side in the packed image
#ifdef __AVX512F__
constexpr int kWide = 16;        // numbers in a register
constexpr int kTogether = 2;     // times 16 outputs of a tile
constexpr int kTile = 14;        // pixels of a tile: 28 of 32 registers
constexpr int kTransformed = 14; // tiles of Winograd's at a time
#else
constexpr int kWide = 8;
constexpr int kTogether = 1;
constexpr int kTile = 6;  // 12 of 16 registers
constexpr int kTransformed = 12;
#endif
constexpr int kParts = kLanes / kWide;  // registers for 16 outputs

typedef float Floats __attribute__((vector_size(4 * kWide), aligned(4), may_alias));
typedef int32_t Ints __attribute__((vector_size(4 * kWide), aligned(4), may_alias));

inline Floats positive(const Floats& x) { return x > 0 ? x : Floats{}; }

struct Image {
  int rows, columns, inputs;
};

// How an image's numbers become integers: times `scale`, plus `zero`. Where none is negative, all 8 bits are for positive ones.
struct Quantisation {
  float scale;
  int zero;
};

// Of each number format: how many numbers are a word, and words added up in vectors.
struct Float32 {
  static constexpr int kInWord = 1;
  using Sum = Floats;
  static inline void add(Sum& sum, const int32_t* word, const Ints& filters) {
    float value;
    std::memcpy(&value, word, 4);
    sum += (Floats)filters * value;
  }
  static inline Floats value(const Sum& sum, const Floats&, const Floats&) { return sum; }
  static void pack(const float* from, int count, bool rectify, Quantisation, int32_t* to) {
    float* out = reinterpret_cast<float*>(to);
    if (count == kLanes) {
      for (int i = 0; i < kLanes; i += kWide) {
        const Floats some = *(const Floats*)(from + i);
        *(Floats*)(out + i) = rectify ? positive(some) : some;
      }
      return;
    }
    for (int i = 0; i < count; i++) out[i] = rectify && !(from[i] > 0) ? 0 : from[i];
  }
};

#ifdef __AVX512BF16__
struct BFloat16 {
  static constexpr int kInWord = 2;
  using Sum = Floats;
  static inline void add(Sum& sum, const int32_t* word, const Ints& filters) {
    sum = (Floats)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32(*word), (__m512bh)(__m512i)filters);
  }
  static inline Floats value(const Sum& sum, const Floats&, const Floats&) { return sum; }
  static void pack(const float* from, int count, bool rectify, Quantisation, int32_t* to) {
    const __m512 least = _mm512_set1_ps(rectify ? 0 : -INFINITY);
    for (int i = 0; i < count; i += 16) {
      const __mmask16 there = count - i >= 16 ? 0xffff : (1u << (count - i)) - 1;
      const __m512 x = _mm512_max_ps(_mm512_maskz_loadu_ps(there, from + i), least);
      // The words of a last, shorter part are zeros to the end of the 16 numbers.
      _mm256_storeu_si256((__m256i*)(to + i / 2), (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_mov_ps(there, x)));
    }
  }
};
#endif

#ifdef __AVX512VNNI__
struct Int8 {
  static constexpr int kInWord = 4;
  using Sum = Ints;
  static inline void add(Sum& sum, const int32_t* word, const Ints& filters) {
    sum = (Ints)_mm512_dpbusd_epi32((__m512i)sum, _mm512_set1_epi32(*word), (__m512i)filters);
  }
  static inline Floats value(const Sum& sum, const Floats& scale, const Floats& excess) {
    return ((Floats)_mm512_cvtepi32_ps((__m512i)sum) - excess) * scale;
  }
  static void pack(const float* from, int count, bool, Quantisation to_integers, int32_t* to) {
    const __m512 scale = _mm512_set1_ps(to_integers.scale);
    const __m512i zero = _mm512_set1_epi32(to_integers.zero), least = _mm512_setzero_si512();
    for (int i = 0; i < count; i += 16) {
      const __mmask16 there = count - i >= 16 ? 0xffff : (1u << (count - i)) - 1;
      const __m512 x = _mm512_mul_ps(_mm512_maskz_loadu_ps(there, from + i), scale);
      const __m512i integers = _mm512_max_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(x), zero), least);
      _mm_storeu_si128((__m128i*)(to + i / 4), _mm512_cvtusepi32_epi8(integers));
    }
  }
};
#endif

// A layer of one image, packed: words of 16 inputs' groups, [groups][rows + border][columns + border][16].
struct Layer {
  const int32_t* packed;
  int words, height, width;  // of the packed image
  const int32_t* filters;    // [outputs / 16][places][words][16]
  int places;                // 9 or 1
  const float* scales;       // [outputs], of int8's filters, or null; times the image's
  const float* totals;       // [outputs], of int8's filters; times the image's zero
  float scale, zero;
  const float* bias;      // [outputs] or null
  const float* residual;  // like y, or null
  bool rectify;           // the result
  float* y;
  int rows, columns, outputs, pixel;  // from one pixel of y to the next
};

// Adds up one tile: into sums [blocks][rows][columns] of 16 outputs each. Args: next: sums from one block to the next.
template <class Format, int kBlocks, int kRows, int kColumns>
void add_up(const Layer& layer, int row, int column, int block, typename Format::Sum* out, long next) {
  constexpr int kVectors = kBlocks * kParts;
  typename Format::Sum sums[kVectors][kRows * kColumns] = {};
  const long next_row = (long)layer.width * kLanes, next_block = (long)layer.places * layer.words * kLanes;
  const int32_t* image = layer.packed + (row * next_row + (long)column * kLanes);
  const int32_t* filters = layer.filters + block * next_block;
  for (int first = 0; first < layer.words; first += kLanes, image += layer.height * next_row) {
    const int words = std::min(kLanes, layer.words - first);
    for (int place = 0; place < layer.places; place++) {
      const int32_t* from = image + (place / 3) * next_row + (place % 3) * kLanes;
      const int32_t* with = filters + ((long)place * layer.words + first) * kLanes;
      for (int word = 0; word < words; word++, from++, with += kLanes) {
        Ints f[kVectors];
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; v++) f[v] = *(const Ints*)(with + v / kParts * next_block + v % kParts * kWide);
#pragma GCC unroll 2
        for (int r = 0; r < kRows; r++)
#pragma GCC unroll 14
          for (int c = 0; c < kColumns; c++)
#pragma GCC unroll 2
            for (int v = 0; v < kVectors; v++)
              Format::add(sums[v][r * kColumns + c], from + r * next_row + c * kLanes, f[v]);
      }
    }
  }
#pragma GCC unroll 2
  for (int v = 0; v < kVectors; v++)
#pragma GCC unroll 14
    for (int i = 0; i < kRows * kColumns; i++) out[(v / kParts * next + i) * kParts + v % kParts] = sums[v][i];
}

// Of 16 outputs, or as many as there are: scale, bias, residual and relu. Args: sums: [blocks][rows][next_row], of which `columns`.
template <class Format>
void finish(const Layer& layer, int blocks, int rows, int columns, int row, int column, int block,
            const typename Format::Sum* sums, int next_row) {
  for (int v = 0; v < blocks * kParts; v++) {
    const int output = block * kLanes + v * kWide, bytes = 4 * std::min(kWide, layer.outputs - output);
    if (bytes <= 0) return;
    const typename Format::Sum* sum = sums + v / kParts * (long)rows * next_row * kParts + v % kParts;
    Floats scale = {}, excess = {}, bias = {};
    if (layer.scales) {
      std::memcpy(&scale, layer.scales + output, bytes);
      std::memcpy(&excess, layer.totals + output, bytes);
      excess *= layer.zero;
    }
    if (layer.bias && bytes == 4 * kWide) {
      bias = *(const Floats*)(layer.bias + output);
    } else if (layer.bias) {
      std::memcpy(&bias, layer.bias + output, bytes);
    }
    scale *= layer.scale;
    for (int r = 0; r < rows; r++, sum += next_row * kParts)
      for (int c = 0; c < columns; c++) {
        const long at = ((long)(row + r) * layer.columns + column + c) * layer.pixel + output;
        Floats value = Format::value(sum[c * kParts], scale, excess) + bias, residual = {};
        if (bytes == 4 * kWide) {
          if (layer.residual) value += *(const Floats*)(layer.residual + at);
          *(Floats*)(layer.y + at) = layer.rectify ? positive(value) : value;
        } else {
          if (layer.residual) std::memcpy(&residual, layer.residual + at, bytes);
          value += residual;
          value = layer.rectify ? positive(value) : value;
          std::memcpy(layer.y + at, &value, bytes);
        }
      }
  }
}

// How many columns a tile has: of one row up to `kTile`, of two rows half as many.
template <class Format>
struct Tiles {
  using Function = void (*)(const Layer&, int row, int column, int block, typename Format::Sum*, long next);
  template <int kBlocks, int kRows, size_t... kColumns>
  static constexpr auto of(std::index_sequence<kColumns...>) {
    return std::array<Function, sizeof...(kColumns)>{add_up<Format, kBlocks, kRows, kColumns + 1>...};
  }
  template <int kBlocks, int kRows>
  static void rows(const Layer& layer, int row, int block) {
    static constexpr int kMost = kTile / kRows;
    static constexpr auto kFunctions = of<kBlocks, kRows>(std::make_index_sequence<kMost>());
    const int parts = (layer.columns + kMost - 1) / kMost;
    for (int part = 0; part < parts; part++) {
      const int column = layer.columns * part / parts, columns = layer.columns * (part + 1) / parts - column;
      alignas(64) typename Format::Sum sums[kBlocks * kParts * kRows * kMost];
      kFunctions[columns - 1](layer, row, column, block, sums, kRows * columns);
      finish<Format>(layer, kBlocks, kRows, columns, row, column, block, sums, columns);
    }
  }
  static void all(const Layer& layer) {
    const int blocks = (layer.outputs + kLanes - 1) / kLanes;
    const bool narrow = layer.columns <= kTile / 2;
    for (int block = 0; block < blocks; block += kTogether) {
      const bool all = block + kTogether <= blocks;
      int row = 0;
      for (; narrow && row + 1 < layer.rows; row += 2) (all ? rows<kTogether, 2> : rows<1, 2>)(layer, row, block);
      for (; row < layer.rows; row++) (all ? rows<kTogether, 1> : rows<1, 1>)(layer, row, block);
    }
  }
};

int32_t* scratch(size_t words) {
  thread_local std::vector<int32_t> kept;
  if (kept.size() < words + kLanes) kept.resize(words + kLanes);
  const auto address = reinterpret_cast<uintptr_t>(kept.data());
  return reinterpret_cast<int32_t*>((address + 63) / 64 * 64);
}

// Widens the range from `down` to `up` to that of some numbers.
void widen(const float* x, size_t count, float& down, float& up) {
  Floats most = {}, least = {};
  size_t i = 0;
  for (; i + kWide <= count; i += kWide) {
    const Floats some = *(const Floats*)(x + i);
    most = some > most ? some : most;
    least = some < least ? some : least;
  }
  for (int lane = 0; lane < kWide; lane++) up = std::max(up, most[lane]), down = std::min(down, least[lane]);
  for (; i < count; i++) up = std::max(up, x[i]), down = std::min(down, x[i]);
}

// Packs an image with zeros around it: a row above and a column to the left if it is padded, the rest below and to the right.
template <class Format>
void pack(const float* x, Image image, int stride, bool rectify, bool padded, Quantisation to_integers, int height,
          int width, int32_t* packed) {
  const int border = padded ? 1 : 0, in_group = kLanes * Format::kInWord;
  const int groups = (image.inputs + in_group - 1) / in_group, right = border + image.columns;
  const int32_t nothing = 0x01010101u * to_integers.zero;  // a word of zeros
  const size_t row = (size_t)width * kLanes;
  for (int group = 0; group < groups; group++) {
    const int first = group * in_group, count = std::min(in_group, image.inputs - first);
    for (int i = 0; i < height; i++, packed += row) {
      if (i < border || i >= border + image.rows) {
        std::fill_n(packed, row, nothing);
        continue;
      }
      std::fill_n(packed, border * kLanes, nothing);
      std::fill_n(packed + right * kLanes, (width - right) * kLanes, nothing);
      const float* from = x + (size_t)(i - border) * image.columns * stride + first;
      for (int j = 0; j < image.columns; j++)
        Format::pack(from + (size_t)j * stride, count, rectify, to_integers, packed + (j + border) * kLanes);
    }
  }
}

// Args: x: the first of its pixels, which lie `stride` numbers apart.
template <class Format>
void convolve(const float* x, Image image, int stride, bool rectify, bool padded, Layer layer) {
  const int border = padded ? 1 : 0;
  layer.words = (image.inputs + Format::kInWord - 1) / Format::kInWord;
  layer.height = image.rows + 2 * border;
  layer.width = image.columns + 2 * border;
  const int groups = (layer.words + kLanes - 1) / kLanes;
  int32_t* packed = scratch((size_t)groups * layer.height * layer.width * kLanes);
  layer.packed = packed;
  Quantisation to_integers = {0, 0};
  if (layer.scales) {
    const bool dense = stride == image.inputs;
    const size_t count = dense ? (size_t)stride * image.rows * image.columns : image.inputs;
    float down = 0, up = 0;
    for (long i = 0; i < (dense ? 1 : (long)image.rows * image.columns); i++) widen(x + i * stride, count, down, up);
    const bool positive = rectify || down == 0;
    const float steps = positive ? 255 : 127, most = positive ? up : std::max(up, -down);
    to_integers = {most > 0 ? steps / most : 0, positive ? 0 : 128};
    layer.scale = most / steps;
    layer.zero = to_integers.zero;
  }
  pack<Format>(x, image, stride, rectify, padded, to_integers, layer.height, layer.width, packed);
  Tiles<Format>::all(layer);
}

// Winograd's F(4x4, 3x3) (winograd.py has its matrices), where few tiles at a time go through all three steps in the cache: their
// 36 transformed numbers, for each of those a product of matrices, and back.
constexpr int kSide = 6, kOut = 4, kPlaces = kSide * kSide;

inline void in_line(const Floats (&d)[kSide], Floats (&v)[kSide]) {
  const Floats a = d[4] - 4.0f * d[2], b = d[3] - 4.0f * d[1], c = d[4] - d[2], e = 2.0f * (d[3] - d[1]);
  v[0] = 4.0f * d[0] - 5.0f * d[2] + d[4];
  v[1] = a + b;
  v[2] = a - b;
  v[3] = c + e;
  v[4] = c - e;
  v[5] = 4.0f * d[1] - 5.0f * d[3] + d[5];
}

inline void out_line(const Floats (&m)[kSide], Floats (&y)[kOut]) {
  const Floats s = m[1] + m[2], d = m[1] - m[2], p = m[3] + m[4], q = m[3] - m[4];
  y[0] = m[0] + s + p;
  y[1] = d + 2.0f * q;
  y[2] = s + 4.0f * p;
  y[3] = d + 8.0f * q + m[5];
}

// Args: from: the tile's first pixel, which has `kParts` vectors; row: vectors from one row to the next. to: with `step` vectors
// between places.
void transform_in(const Floats* from, long row, Floats* to, long step) {
  Floats half[kSide][kSide];  // [columns][rows]
#pragma GCC unroll 6
  for (int j = 0; j < kSide; j++) {
    const Floats* top = from + j * kParts;
    const Floats d[kSide] = {top[0], top[row], top[2 * row], top[3 * row], top[4 * row], top[5 * row]};
    in_line(d, half[j]);
  }
#pragma GCC unroll 6
  for (int i = 0; i < kSide; i++) {
    const Floats d[kSide] = {half[0][i], half[1][i], half[2][i], half[3][i], half[4][i], half[5][i]};
    Floats v[kSide];
    in_line(d, v);
#pragma GCC unroll 6
    for (int j = 0; j < kSide; j++) to[(i * kSide + j) * step] = v[j];
  }
}

// Args: to: [kOut][kOut], `kParts` vectors apart.
void transform_out(const Floats* from, long step, Floats* to) {
  Floats half[kSide][kOut];
#pragma GCC unroll 6
  for (int j = 0; j < kSide; j++) {
    Floats m[kSide];
#pragma GCC unroll 6
    for (int i = 0; i < kSide; i++) m[i] = from[(i * kSide + j) * step];
    out_line(m, half[j]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < kOut; i++) {
    const Floats m[kSide] = {half[0][i], half[1][i], half[2][i], half[3][i], half[4][i], half[5][i]};
    Floats y[kOut];
    out_line(m, y);
#pragma GCC unroll 4
    for (int j = 0; j < kOut; j++) to[(i * kOut + j) * kParts] = y[j];
  }
}

// Args: as of `convolve`. layer.filters: [36][outputs / 16][inputs][16].
void winograd(const float* x, Image image, int stride, bool rectify, bool padded, Layer layer) {
  static constexpr auto kOne = Tiles<Float32>::of<1, 1>(std::make_index_sequence<kTile>());
  static constexpr auto kAll = Tiles<Float32>::of<kTogether, 1>(std::make_index_sequence<kTile>());
  const int down = (layer.rows + kOut - 1) / kOut, across = (layer.columns + kOut - 1) / kOut, tiles = down * across;
  const int height = std::max(down * kOut + 2, image.rows + 2), width = std::max(across * kOut + 2, image.columns + 2);
  const int groups = (image.inputs + kLanes - 1) / kLanes, blocks = (layer.outputs + kLanes - 1) / kLanes;
  const size_t pixels = (size_t)groups * height * width, most = std::min(tiles, kTransformed);
  int32_t* packed = scratch((pixels + kPlaces * most * (groups + blocks)) * kLanes);
  Floats* transformed = reinterpret_cast<Floats*>(packed) + pixels * kParts;
  Floats* products = transformed + kPlaces * most * groups * kParts;
  pack<Float32>(x, image, stride, rectify, padded, {0, 0}, height, width, packed);
  const int parts = (tiles + kTransformed - 1) / kTransformed;
  for (int part = 0; part < parts; part++) {
    const int first = tiles * part / parts, count = tiles * (part + 1) / parts - first;
    for (int group = 0; group < groups; group++)
      for (int t = 0; t < count; t++) {
        const long row = (first + t) / across * kOut, column = (first + t) % across * kOut;
        const int32_t* from = packed + (((long)group * height + row) * width + column) * kLanes;
        Floats* to = transformed + (group * count + t) * kParts;
        for (int p = 0; p < kParts; p++)
          transform_in((const Floats*)from + p, (long)width * kParts, to + p, (long)groups * count * kParts);
      }
    Layer factors = {};
    factors.words = image.inputs;
    factors.height = factors.places = 1;
    factors.width = count;
    for (int place = 0; place < kPlaces; place++) {
      factors.packed = reinterpret_cast<const int32_t*>(transformed + (long)place * groups * count * kParts);
      factors.filters = layer.filters + (size_t)place * blocks * image.inputs * kLanes;
      for (int block = 0; block < blocks; block += kTogether)
        for (int t = 0; t < count; t += kTile)
          (block + kTogether <= blocks ? kAll : kOne)[std::min(kTile, count - t) - 1](
              factors, 0, t, block, products + ((place * blocks + block) * count + t) * kParts, count);
    }
    for (int block = 0; block < blocks; block++)
      for (int t = 0; t < count; t++) {
        const int row = (first + t) / across * kOut, column = (first + t) % across * kOut;
        const int rows = std::min(kOut, layer.rows - row), columns = std::min(kOut, layer.columns - column);
        Floats sums[kOut * kOut * kParts];
        for (int p = 0; p < kParts; p++)
          transform_out(products + (block * count + t) * kParts + p, (long)blocks * count * kParts, sums + p);
        finish<Float32>(layer, 1, rows, columns, row, column, block, sums, kOut);
      }
  }
}

ffi::Error run(ffi::AnyBuffer x, ffi::AnyBuffer filters, ffi::RemainingArgs others, ffi::Result<ffi::AnyBuffer> y,
               int64_t places, bool padded, bool rectify_input, bool rectify_output) {
  const auto from = x.dimensions(), to = y->dimensions();
  const int batch = from[2];
  Image image = {(int)from[0], (int)from[1], (int)from[3]};
  Layer layer = {};
  layer.filters = static_cast<const int32_t*>(filters.untyped_data());
  layer.places = places;
  layer.rows = to[0];
  layer.columns = to[1];
  layer.outputs = to[3];
  layer.pixel = layer.outputs * batch;
  layer.rectify = rectify_output;
  if (others.size() > 0) layer.bias = static_cast<const float*>(others.get<ffi::AnyBuffer>(0)->untyped_data());
  const float* residual =
      others.size() > 1 ? static_cast<const float*>(others.get<ffi::AnyBuffer>(1)->untyped_data()) : nullptr;
  for (int b = 0; b < batch; b++) {
    const float* one = static_cast<const float*>(x.untyped_data()) + b * image.inputs;
    layer.y = static_cast<float*>(y->untyped_data()) + b * layer.outputs;
    layer.residual = residual ? residual + b * layer.outputs : nullptr;
    const int stride = image.inputs * batch;
    switch (filters.element_type()) {
#ifdef RTRL_FLOAT32
      case ffi::F32:
        (places == kPlaces ? winograd : convolve<Float32>)(one, image, stride, rectify_input, padded, layer);
        break;
#endif
#if defined RTRL_BFLOAT16 && defined __AVX512BF16__
      case ffi::BF16:
        convolve<BFloat16>(one, image, stride, rectify_input, padded, layer);
        break;
#endif
#if defined RTRL_INT8 && defined __AVX512VNNI__
      case ffi::S8: {  // scales and totals, float32, come first
        Layer scaled = layer;
        const int outputs = (layer.outputs + kLanes - 1) / kLanes * kLanes;
        scaled.scales = reinterpret_cast<const float*>(layer.filters);
        scaled.totals = scaled.scales + outputs;
        scaled.filters = layer.filters + 2 * outputs;
        convolve<Int8>(one, image, stride, rectify_input, padded, scaled);
        break;
      }
#endif
      default:
        return ffi::Error::InvalidArgument("this processor has no instructions for products of that type");
    }
  }
  return ffi::Error::Success();
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(rtrl_convolve, run,
                              ffi::Ffi::Bind()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::AnyBuffer>()
                                  .RemainingArgs()
                                  .Ret<ffi::AnyBuffer>()
                                  .Attr<int64_t>("places")
                                  .Attr<bool>("padded")
                                  .Attr<bool>("rectify_input")
                                  .Attr<bool>("rectify_output"));
