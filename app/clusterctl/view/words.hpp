// What the words of a command line mean. No file is looked at here: what must be known of one comes
// in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

namespace cluster::clusterctl {

/// What there is at the path that a word may be.
enum class PathKind : std::uint8_t { nothing, file, program, other };

/// What `start WORD` is about.
enum class StartWord : std::uint8_t {
    config,    // a config file
    selector,  // of workers that the daemon knows
    program,   // a path of a program: it belongs behind "--"
};
/// A word that ends in .toml is a config, be it there or not; so is every other path, and any
/// existing file that cannot be executed. An executable is a program only when it is written as a
/// path: `start api` means the worker, even where a program of that name lies in the directory.
[[nodiscard]] StartWord meaning_of(std::string_view word, PathKind kind);

/// "4", "+2" or "-1".
struct ScaleBy {
    std::optional<std::uint32_t> instances;
    std::optional<std::int32_t> delta;
};
[[nodiscard]] tl::expected<ScaleBy, std::string> parse_scale(std::string_view text);

/// A worker's name from a program's path: "/usr/bin/python3.11" → "python3_11". Empty when nothing
/// usable is left.
[[nodiscard]] std::string name_from_program(std::string_view program);

/// "K=V" as a pair.
[[nodiscard]] tl::expected<std::pair<std::string, std::string>, std::string> parse_variable(
    std::string_view text);

/// The parts of a log file's name "<worker>.<instance>.out.log", "….err.log" or, merged, "….log";
/// none for any other name.
struct LogName {
    enum class Stream : std::uint8_t { out, err, both };
    std::string worker;
    std::uint32_t instance = 0;
    Stream stream = Stream::out;
};
[[nodiscard]] std::optional<LogName> parse_log_name(std::string_view file_name);

/// The words before and after the first "--".
struct SplitArguments {
    std::vector<std::string> head;
    std::vector<std::string> tail;
    bool has_separator = false;
};
[[nodiscard]] SplitArguments split_at_separator(const std::vector<std::string>& arguments);

/// Takes the verb out of the words: the first one that is no option. `value_options` take the word
/// after them. Empty when there is none.
[[nodiscard]] std::string take_verb(std::vector<std::string>& head,
                                    const std::vector<std::string_view>& value_options);

}  // namespace cluster::clusterctl
