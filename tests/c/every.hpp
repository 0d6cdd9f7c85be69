// Calls any exported function with arguments made from its type. The list of functions is not
// written by hand: run.sh makes exports.inc, one EVERY(name) a line, from the library's symbols.
#ifndef PLUGWARD_TESTS_EVERY_HPP
#define PLUGWARD_TESTS_EVERY_HPP

#include "check.h"

#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

// What a function returns when it could not do its work.
inline bool neutral(plugward_error *error, std::uint32_t code) { return raised(error, code); }
inline bool neutral(const plugward_error *error, std::uint32_t) { return error == nullptr; }
inline bool neutral(plugward_bytes bytes, std::uint32_t) { return bytes.data == nullptr && bytes.len == 0; }
inline bool neutral(std::uint8_t *data, std::uint32_t) { return data == nullptr; }
inline bool neutral(bool value, std::uint32_t) { return !value; }
inline bool neutral(double value, std::uint32_t) { return value == 0; }
inline bool neutral(std::int32_t status, std::uint32_t) { return status == PLUGWARD_STATUS_ERROR; }
inline bool neutral(std::uint32_t value, std::uint32_t) { return value == 0; }
inline bool neutral(std::uint64_t value, std::uint32_t) { return value == 0; }

// Calls `function` and judges what it returns.
template <class... A>
bool judged(void (*function)(A...), std::tuple<A...> arguments, std::uint32_t) {
  std::apply(function, arguments);
  return true;
}
template <class R, class... A>
bool judged(R (*function)(A...), std::tuple<A...> arguments, std::uint32_t code) {
  return neutral(std::apply(function, arguments), code);
}

// The arguments of a function, all zero.
template <class R, class... A> std::tuple<A...> zeros(R (*)(A...)) { return std::tuple<A...>(A{}...); }

#endif
