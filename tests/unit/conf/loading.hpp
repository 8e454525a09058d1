// Shared by the tests of conf: loads a text as if it were /srv/site/clusterd.toml.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "conf/load.hpp"

namespace cluster::conf {

inline LoadResult load_text(std::string_view text) {
    return load(text, LoadContext{"/srv/site/clusterd.toml", "/usr/bin:/bin"});
}

/// The only worker of a text that must be right.
inline core::WorkerSpec load_worker(std::string_view text) {
    const LoadResult result = load_text(text);
    if (!result) FAIL_CHECK(format(result.error()));
    if (!result || result->workers.size() != 1) {
        FAIL_CHECK("expected one worker");
        return {};
    }
    return result->workers.front();
}

/// A worker `w` with a command (line 2) and the given line (line 3).
inline std::string with_line(const std::string& line) {
    return "[worker.w]\ncommand = [\"srv\"]\n" + line + "\n";
}

inline core::WorkerSpec load_line(const std::string& line) {
    return load_worker(with_line(line));
}

/// "line:column message" of each mistake.
inline std::vector<std::string> mistakes_of(std::string_view text) {
    std::vector<std::string> mistakes;
    const LoadResult result = load_text(text);
    if (result) return mistakes;
    for (const Diagnostic& diagnostic : result.error()) {
        mistakes.push_back(std::to_string(diagnostic.line) + ":" +
                           std::to_string(diagnostic.column) + " " + diagnostic.message);
    }
    return mistakes;
}

/// The one mistake that a text has; "none" or "several: …" otherwise.
inline std::string mistake_of(std::string_view text) {
    const std::vector<std::string> mistakes = mistakes_of(text);
    if (mistakes.empty()) return "none";
    if (mistakes.size() == 1) return mistakes.front();
    std::string all = "several: ";
    for (const std::string& mistake : mistakes) all += mistake + "; ";
    return all;
}

/// Compares so that a failure shows both sides line by line.
inline void check_mistakes(std::string_view text, const std::vector<std::string>& expected) {
    const auto join = [](const std::vector<std::string>& lines) {
        std::string all;
        for (const std::string& line : lines) all += "\n  " + line;
        return all;
    };
    CHECK(join(mistakes_of(text)) == join(expected));
}

}  // namespace cluster::conf
