// What the worker `firehose` writes.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <string>

namespace cluster::test {

inline std::string firehose_text(std::size_t bytes) {
    std::string text;
    text.reserve(bytes + 64);
    char line[65];
    for (std::size_t i = 0; text.size() < bytes; ++i) {
        std::snprintf(line, sizeof line, "%063zu\n", i);
        text += line;
    }
    text.resize(bytes);
    return text;
}

/// A comparison whose failure does not print megabytes.
inline bool is_same(const std::string& actual, const std::string& expected) {
    if (actual == expected) return true;
    const auto [a, b] =
        std::mismatch(actual.begin(), actual.end(), expected.begin(), expected.end());
    MESSAGE("sizes " << actual.size() << " and " << expected.size() << ", different at "
                     << (a - actual.begin()) << ": \""
                     << actual.substr(static_cast<std::size_t>(a - actual.begin()), 80)
                     << "\" instead of \""
                     << expected.substr(static_cast<std::size_t>(b - expected.begin()), 80)
                     << "\"");
    return false;
}

}  // namespace cluster::test
