// Texts that are kept beside the tests and reviewed as diffs.
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "support/paths.hpp"

namespace cluster::test {

/// `actual` is tests/golden/<name>, line by line. CLUSTER_GOLDEN_UPDATE=1 in the environment
/// rewrites the file first.
inline void check_golden(const std::string& name, const std::string& actual) {
    const std::string path = CLUSTER_SOURCE_DIR "/tests/golden/" + name;
    const char* const update = std::getenv("CLUSTER_GOLDEN_UPDATE");
    if (update != nullptr && std::string{update} == "1") std::ofstream{path} << actual;
    std::ifstream file{path};
    REQUIRE_MESSAGE(file.good(), "cannot read " << path);
    std::istringstream lines{actual};
    std::string expected_line;
    std::string actual_line;
    int number = 0;
    while (std::getline(file, expected_line)) {
        ++number;
        REQUIRE_MESSAGE(std::getline(lines, actual_line), path << " has more than " << number - 1);
        INFO(path, ':', number);
        REQUIRE(actual_line == expected_line);
    }
    CHECK_FALSE_MESSAGE(std::getline(lines, actual_line), path << " ends too early");
}

}  // namespace cluster::test
