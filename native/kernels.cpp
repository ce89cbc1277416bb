// The audio kernels: G.711, interleaving, mixing, peaks, energies and resampling, over typed arrays that the caller owns.
//
// The TypeScript twin (src/audio/kernelsTypescript.ts) has the same exports, results and error texts; one test file runs
// over both. Nothing here allocates, keeps state or holds on to a buffer after its call. Pointers are not declared restrict,
// so a destination that overlaps its source gives what the same loop in TypeScript gives.
//
// The loops are written for the compiler to turn into vectors: without tables, branches and calls.

#include "kernels.h"

#include <napi.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

namespace {

// ---- Vectors -------------------------------------------------------------------------------------------------------

// On x86-64 each loop is compiled twice, for what every such processor has and for vectors of 256 bits; which of them runs is
// decided once, when the addon is loaded. Elsewhere there is the first alone: on arm64 every processor has the same vectors.
// (Indirect functions would do it with less, but musl has none, and ThreadSanitizer doesn't bear them.)
#if defined(__GNUC__)
#define LOOP static inline __attribute__((always_inline))
#else
#define LOOP static inline
#endif
#if defined(__x86_64__) && defined(__GNUC__)
#define WIDE __attribute__((target("avx2")))
bool hasWide() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") != 0;
}
#else
#define WIDE
bool hasWide() { return false; }
#endif

template <auto loop>
struct Versions;

template <typename Result, typename... Arguments, Result (*loop)(Arguments...)>
struct Versions<loop> {
  static Result narrow(Arguments... arguments) { return loop(arguments...); }
  WIDE static Result wide(Arguments... arguments) { return loop(arguments...); }
  static auto chosen() { return hasWide() ? &wide : &narrow; }
};

// ---- Kernels -------------------------------------------------------------------------------------------------------

// G.711 is a floating-point format of 3 bits exponent and 4 bits mantissa, so the conversion unit of the processor does
// the search for the segment: the bits below the sign of a binary32 number, shifted right by 19, are its exponent followed
// by the 4 leading bits of its mantissa. All magnitudes are below 2^24, so the conversion is exact.
constexpr int mantissaShift = 19;
constexpr int exponentBias = 127;

inline int32_t floatBits(int32_t magnitude) {
  const auto number = static_cast<float>(magnitude);
  int32_t bits;
  std::memcpy(&bits, &number, sizeof bits);
  return bits >> mantissaShift;
}

// Negative samples are folded by one's complement, as in the reference software ITU-T G.191 (module g711).
inline int32_t fold(int32_t sample) { return sample ^ (sample >> 15); }

inline uint8_t mulawOf(int32_t sample) {
  const int32_t magnitude = std::min(fold(sample) + 132, 32767);
  const int32_t code = floatBits(magnitude) - ((exponentBias + 7) << 4);
  return static_cast<uint8_t>(~(code | ((sample >> 8) & 0x80)));
}

inline uint8_t alawOf(int32_t sample) {
  const int32_t magnitude = fold(sample) >> 4;
  const int32_t curved = floatBits(magnitude) - ((exponentBias + 3) << 4);
  // The lowest segment is linear. A mask instead of a condition, because that is what the compiler turns into vectors.
  const int32_t linear = (magnitude - 16) >> 31;
  const int32_t code = (magnitude & linear) | (curved & ~linear);
  return static_cast<uint8_t>((code | (~(sample >> 8) & 0x80)) ^ 0x55);
}

// The way back: exponent and mantissa of a code are put into a binary32 number, with half a step more, which is the middle of
// what the code stands for.
inline int32_t middleOf(int32_t code, int32_t leastExponent) {
  const int32_t bits = (((code << 1) | 1) << (mantissaShift - 1)) + ((exponentBias + leastExponent) << 23);
  float number;
  std::memcpy(&number, &bits, sizeof number);
  return static_cast<int32_t>(number);
}

inline int16_t linearOfMulaw(uint8_t octet) {
  const int32_t code = octet ^ 0xff;
  const int32_t magnitude = middleOf(code & 0x7f, 7) - 132;
  const int32_t sign = -(code >> 7);
  return static_cast<int16_t>((magnitude ^ sign) - sign);
}

inline int16_t linearOfAlaw(uint8_t octet) {
  const int32_t code = octet ^ 0x55;
  const int32_t linear = ((code & 0x70) - 16) >> 31;
  const int32_t magnitude = middleOf((code & 0x7f) + (16 & linear), 7) - (256 & linear);
  const int32_t sign = (code >> 7) - 1;
  return static_cast<int16_t>((magnitude ^ sign) - sign);
}

LOOP void decodeMulawLoop(const uint8_t* source, int16_t* target, std::size_t samples) {
  for (std::size_t i = 0; i < samples; i++) target[i] = linearOfMulaw(source[i]);
}

LOOP void decodeAlawLoop(const uint8_t* source, int16_t* target, std::size_t samples) {
  for (std::size_t i = 0; i < samples; i++) target[i] = linearOfAlaw(source[i]);
}

LOOP void encodeMulawLoop(const int16_t* source, uint8_t* target, std::size_t samples) {
  for (std::size_t i = 0; i < samples; i++) target[i] = mulawOf(source[i]);
}

LOOP void encodeAlawLoop(const int16_t* source, uint8_t* target, std::size_t samples) {
  for (std::size_t i = 0; i < samples; i++) target[i] = alawOf(source[i]);
}

LOOP void interleaveLoop(const int16_t* left, const int16_t* right, int16_t* target, std::size_t frames) {
  for (std::size_t i = 0; i < frames; i++) {
    target[2 * i] = left[i];
    target[2 * i + 1] = right[i];
  }
}

LOOP void deinterleaveLoop(const int16_t* source, int16_t* left, int16_t* right, std::size_t frames) {
  for (std::size_t i = 0; i < frames; i++) {
    left[i] = source[2 * i];
    right[i] = source[2 * i + 1];
  }
}

// Where both have one sign and their sum modulo 2^16 has the other, it lies beyond the end of that sign. Nothing is wider than 16
// bits, so that a vector holds as many samples as it can.
LOOP void mixLoop(const int16_t* a, const int16_t* b, int16_t* target, std::size_t samples) {
  for (std::size_t i = 0; i < samples; i++) {
    const int16_t one = a[i];
    const int16_t other = b[i];
    const auto sum = static_cast<int16_t>(static_cast<uint16_t>(one) + static_cast<uint16_t>(other));
    const auto isBeyond = static_cast<int16_t>(~(one ^ other) & (one ^ sum)) < 0;
    target[i] = isBeyond ? static_cast<int16_t>((one >> 15) ^ 0x7fff) : sum;
  }
}

LOOP int32_t peakLoop(const int16_t* source, std::size_t samples) {
  int16_t lowest = 0;
  int16_t highest = 0;
  for (std::size_t i = 0; i < samples; i++) {
    lowest = std::min(lowest, source[i]);
    highest = std::max(highest, source[i]);
  }
  return std::max(-static_cast<int32_t>(lowest), static_cast<int32_t>(highest));
}

// The sum has an order, since that decides its last bits: eight of them, of every eighth product, added up in halves, and then
// the products that are left.
constexpr std::size_t lanes = 8;

LOOP double convolveLoop(const double* row, const int16_t* source, std::size_t taps) {
  double sums[lanes] = {};
  std::size_t k = 0;
  for (; k + lanes <= taps; k += lanes) {
    for (std::size_t lane = 0; lane < lanes; lane++) sums[lane] += row[k + lane] * source[k + lane];
  }
  for (std::size_t half = lanes / 2; half > 0; half /= 2) {
    for (std::size_t lane = 0; lane < half; lane++) sums[lane] += sums[lane + half];
  }
  double sum = sums[0];
  for (; k < taps; k++) sum += row[k] * source[k];
  return sum;
}

const auto decodeMulaw = Versions<decodeMulawLoop>::chosen();
const auto decodeAlaw = Versions<decodeAlawLoop>::chosen();
const auto encodeMulaw = Versions<encodeMulawLoop>::chosen();
const auto encodeAlaw = Versions<encodeAlawLoop>::chosen();
const auto interleave = Versions<interleaveLoop>::chosen();
const auto deinterleave = Versions<deinterleaveLoop>::chosen();
const auto mix = Versions<mixLoop>::chosen();
const auto peak = Versions<peakLoop>::chosen();
const auto convolve = Versions<convolveLoop>::chosen();

// As Math.round, halves going up, and as an Int16Array, in which what is no number is 0.
inline int16_t sampleOf(double value) {
  if (std::isnan(value)) return 0;
  const double whole = std::floor(value);
  const double rounded = value - whole >= 0.5 ? whole + 1 : whole;
  return static_cast<int16_t>(std::min(std::max(rounded, -32768.0), 32767.0));
}

void extremes(const int16_t* source, std::size_t samples, std::size_t perBin, int16_t* target) {
  for (std::size_t start = 0; start < samples; start += perBin) {
    const std::size_t end = std::min(start + perBin, samples);
    int16_t lowest = source[start];
    int16_t highest = lowest;
    for (std::size_t i = start + 1; i < end; i++) {
      lowest = std::min(lowest, source[i]);
      highest = std::max(highest, source[i]);
    }
    *target++ = lowest;
    *target++ = highest;
  }
}

// A whole number as long as it is summed, so that no order of additions gives another result; it stays below 2^53, so that
// its conversion is exact as well.
void energies(const int16_t* source, std::size_t samples, std::size_t perBin, double* target) {
  for (std::size_t start = 0; start < samples; start += perBin) {
    const std::size_t end = std::min(start + perBin, samples);
    uint64_t sum = 0;
    for (std::size_t i = start; i < end; i++) sum += static_cast<uint32_t>(static_cast<int32_t>(source[i]) * source[i]);
    *target++ = static_cast<double>(sum) / static_cast<double>(end - start);
  }
}

// ---- Arguments -----------------------------------------------------------------------------------------------------

template <typename Sample>
struct View {
  Sample* data;
  std::size_t length;
};

template <typename Sample>
constexpr napi_typedarray_type kindOf = napi_int16_array;
template <>
constexpr napi_typedarray_type kindOf<uint8_t> = napi_uint8_array;
template <>
constexpr napi_typedarray_type kindOf<double> = napi_float64_array;
template <typename Sample>
constexpr const char* nameOf = "an Int16Array";
template <>
constexpr const char* nameOf<uint8_t> = "a Uint8Array";
template <>
constexpr const char* nameOf<double> = "a Float64Array";

void refuse(const Napi::Env& env, const std::string& text) {
  Napi::TypeError::New(env, text).ThrowAsJavaScriptException();
}

// The one look-up per argument: it checks the kind and gives address and length. Throws and gives nothing otherwise.
template <typename Sample>
std::optional<View<Sample>> argument(const Napi::CallbackInfo& info, std::size_t index, const char* kernel,
                                     const char* name) {
  napi_typedarray_type kind{};
  std::size_t length = 0;
  void* data = nullptr;
  const napi_status status =
      napi_get_typedarray_info(info.Env(), info[index], &kind, &length, &data, nullptr, nullptr);
  if (status != napi_ok || kind != kindOf<Sample>) {
    refuse(info.Env(), std::string(kernel) + ": " + name + " must be " + nameOf<Sample>);
    return std::nullopt;
  }
  return View<Sample>{static_cast<Sample*>(data), length};
}

bool lengthIs(const Napi::CallbackInfo& info, const char* kernel, const char* name, std::size_t actual,
              std::size_t expected) {
  if (actual == expected) return true;
  refuse(info.Env(), std::string(kernel) + ": " + name + " must have " + std::to_string(expected) +
                         " elements, not " + std::to_string(actual));
  return false;
}

// Counts are small enough that no product of two of them and a length overflows 64 bits.
constexpr double mostCount = 65536;

std::optional<uint64_t> count(const Napi::CallbackInfo& info, std::size_t index, const char* kernel, const char* name,
                              double least) {
  double value = 0;
  const napi_status status = napi_get_value_double(info.Env(), info[index], &value);
  if (status == napi_ok && value >= least && value <= mostCount && value == std::floor(value))
    return static_cast<uint64_t>(value);
  refuse(info.Env(), std::string(kernel) + ": " + name + " must be a whole number from " +
                         std::to_string(static_cast<int>(least)) + " to " +
                         std::to_string(static_cast<int>(mostCount)));
  return std::nullopt;
}

// A bin of so many full-scale squares has a sum of 2^52, which a double holds exactly.
constexpr uint32_t mostPerBin = 1u << 22;

// Samples in a bin: the argument at 1. Throws and gives nothing when it is no whole number in range.
std::optional<std::size_t> binArgument(const Napi::CallbackInfo& info, const char* kernel) {
  double value = 0;
  const napi_status status = napi_get_value_double(info.Env(), info[1], &value);
  // Written so that NaN is refused as well; what is in range can be converted.
  if (status == napi_ok && value >= 1 && value <= mostPerBin && value == static_cast<uint32_t>(value))
    return static_cast<std::size_t>(value);
  refuse(info.Env(), std::string(kernel) + ": perBin must be a whole number from 1 to " + std::to_string(mostPerBin));
  return std::nullopt;
}

// Work over bins; each has `perBinOut` elements of the target.
template <typename To, typename Work>
Napi::Value reduce(const Napi::CallbackInfo& info, const char* kernel, std::size_t perBinOut, Work work) {
  const auto source = argument<int16_t>(info, 0, kernel, "src");
  if (!source) return {};
  const auto perBin = binArgument(info, kernel);
  if (!perBin) return {};
  const auto target = argument<To>(info, 2, kernel, "dst");
  const std::size_t bins = (source->length + *perBin - 1) / *perBin;
  if (!target || !lengthIs(info, kernel, "dst", target->length, perBinOut * bins)) return {};
  work(source->data, source->length, *perBin, target->data);
  return info.Env().Undefined();
}

template <typename From, typename To, typename Work>
Napi::Value convert(const Napi::CallbackInfo& info, const char* kernel, Work work) {
  const auto source = argument<From>(info, 0, kernel, "src");
  if (!source) return {};
  const auto target = argument<To>(info, 1, kernel, "dst");
  if (!target || !lengthIs(info, kernel, "dst", target->length, source->length)) return {};
  work(source->data, target->data, source->length);
  return info.Env().Undefined();
}

// ---- Exports -------------------------------------------------------------------------------------------------------

Napi::Value decodeMulawCall(const Napi::CallbackInfo& info) {
  return convert<uint8_t, int16_t>(info, "decodeMulaw", decodeMulaw);
}

Napi::Value decodeAlawCall(const Napi::CallbackInfo& info) {
  return convert<uint8_t, int16_t>(info, "decodeAlaw", decodeAlaw);
}

Napi::Value encodeMulawCall(const Napi::CallbackInfo& info) {
  return convert<int16_t, uint8_t>(info, "encodeMulaw", encodeMulaw);
}

Napi::Value encodeAlawCall(const Napi::CallbackInfo& info) {
  return convert<int16_t, uint8_t>(info, "encodeAlaw", encodeAlaw);
}

Napi::Value interleaveCall(const Napi::CallbackInfo& info) {
  constexpr auto kernel = "interleave";
  const auto left = argument<int16_t>(info, 0, kernel, "left");
  if (!left) return {};
  const auto right = argument<int16_t>(info, 1, kernel, "right");
  if (!right) return {};
  const auto target = argument<int16_t>(info, 2, kernel, "dst");
  if (!target || !lengthIs(info, kernel, "right", right->length, left->length)) return {};
  if (!lengthIs(info, kernel, "dst", target->length, 2 * left->length)) return {};
  interleave(left->data, right->data, target->data, left->length);
  return info.Env().Undefined();
}

Napi::Value deinterleaveCall(const Napi::CallbackInfo& info) {
  constexpr auto kernel = "deinterleave";
  const auto source = argument<int16_t>(info, 0, kernel, "src");
  if (!source) return {};
  const auto left = argument<int16_t>(info, 1, kernel, "left");
  if (!left) return {};
  const auto right = argument<int16_t>(info, 2, kernel, "right");
  if (!right || !lengthIs(info, kernel, "right", right->length, left->length)) return {};
  if (!lengthIs(info, kernel, "src", source->length, 2 * left->length)) return {};
  deinterleave(source->data, left->data, right->data, left->length);
  return info.Env().Undefined();
}

Napi::Value mixCall(const Napi::CallbackInfo& info) {
  constexpr auto kernel = "mix";
  const auto a = argument<int16_t>(info, 0, kernel, "a");
  if (!a) return {};
  const auto b = argument<int16_t>(info, 1, kernel, "b");
  if (!b) return {};
  const auto target = argument<int16_t>(info, 2, kernel, "dst");
  if (!target || !lengthIs(info, kernel, "b", b->length, a->length)) return {};
  if (!lengthIs(info, kernel, "dst", target->length, a->length)) return {};
  mix(a->data, b->data, target->data, a->length);
  return info.Env().Undefined();
}

Napi::Value peakCall(const Napi::CallbackInfo& info) {
  const auto source = argument<int16_t>(info, 0, "peak", "src");
  if (!source) return {};
  return Napi::Number::New(info.Env(), peak(source->data, source->length));
}

Napi::Value resampleCall(const Napi::CallbackInfo& info) {
  constexpr auto kernel = "resample";
  const auto rows = argument<double>(info, 0, kernel, "rows");
  if (!rows) return {};
  const auto up = count(info, 1, kernel, "up", 1);
  if (!up) return {};
  const auto down = count(info, 2, kernel, "down", 1);
  if (!down) return {};
  const auto phase = count(info, 3, kernel, "phase", 0);
  if (!phase) return {};
  const auto source = argument<int16_t>(info, 4, kernel, "src");
  if (!source) return {};
  const auto target = argument<int16_t>(info, 5, kernel, "dst");
  if (!target) return {};
  const std::size_t taps = rows->length / *up;
  if (!lengthIs(info, kernel, "rows", rows->length, taps * *up)) return {};
  const uint64_t last = target->length == 0 ? 0 : (*phase + (target->length - 1) * *down) / *up;
  if (target->length > 0 && last + taps > source->length) {
    refuse(info.Env(), std::string(kernel) + ": src must have at least " + std::to_string(last + taps) +
                           " elements, not " + std::to_string(source->length));
    return {};
  }
  for (std::size_t n = 0; n < target->length; n++) {
    const uint64_t position = *phase + n * *down;
    target->data[n] =
        sampleOf(convolve(rows->data + position % *up * taps, source->data + position / *up, taps));
  }
  return info.Env().Undefined();
}

Napi::Value extremesCall(const Napi::CallbackInfo& info) { return reduce<int16_t>(info, "extremes", 2, extremes); }

Napi::Value energiesCall(const Napi::CallbackInfo& info) { return reduce<double>(info, "energies", 1, energies); }

}  // namespace

void addKernels(Napi::Env env, Napi::Object exports) {
  exports.Set("decodeMulaw", Napi::Function::New<decodeMulawCall>(env, "decodeMulaw"));
  exports.Set("encodeMulaw", Napi::Function::New<encodeMulawCall>(env, "encodeMulaw"));
  exports.Set("decodeAlaw", Napi::Function::New<decodeAlawCall>(env, "decodeAlaw"));
  exports.Set("encodeAlaw", Napi::Function::New<encodeAlawCall>(env, "encodeAlaw"));
  exports.Set("interleave", Napi::Function::New<interleaveCall>(env, "interleave"));
  exports.Set("deinterleave", Napi::Function::New<deinterleaveCall>(env, "deinterleave"));
  exports.Set("mix", Napi::Function::New<mixCall>(env, "mix"));
  exports.Set("resample", Napi::Function::New<resampleCall>(env, "resample"));
  exports.Set("peak", Napi::Function::New<peakCall>(env, "peak"));
  exports.Set("extremes", Napi::Function::New<extremesCall>(env, "extremes"));
  exports.Set("energies", Napi::Function::New<energiesCall>(env, "energies"));
}
