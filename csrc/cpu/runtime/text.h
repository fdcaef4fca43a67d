// Numbers in messages.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

namespace botan_fast {

// With at most `digits` significant digits.
inline std::string text_of(double value, int digits) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.*g", digits, value);
  return buffer;
}

// The shortest text that reads back as the same number.
inline std::string shortest_text(double value) {
  std::string text;
  for (int digits = 1; digits <= 17; ++digits) {
    text = text_of(value, digits);
    if (std::strtod(text.c_str(), nullptr) == value) break;
  }
  return text;
}

}  // namespace botan_fast
