// The files of config/examples, changed as little as a test has to.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "support/daemon.hpp"
#include "support/paths.hpp"

namespace cluster::test {

using Changes = std::vector<std::pair<std::string, std::string>>;

/// Copies a file of config/examples into the test's directory, changed. The path of the copy.
inline std::string recipe(const Daemon& daemon, const std::string& name, const Changes& changes) {
    std::string text = text_of(std::string(CLUSTER_SOURCE_DIR "/config/examples/") + name);
    REQUIRE_FALSE(text.empty());
    for (const auto& [from, to] : changes) {
        CAPTURE(from);
        REQUIRE(text.find(from) != std::string::npos);
        for (auto at = text.find(from); at != std::string::npos;
             at = text.find(from, at + to.size())) {
            text.replace(at, from.size(), to);
        }
    }
    return daemon.write(name, text);
}

}  // namespace cluster::test
