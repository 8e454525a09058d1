// The command line of clusterd.
#pragma once

#include <optional>
#include <string>

namespace clusterd {

struct Arguments {
    std::optional<std::string> config;
    std::optional<std::string> runtime_dir;
    std::optional<std::string> log_level;
    /// Of a successor: the memfd that says what it inherits (wire/estate.hpp).
    std::optional<int> estate;
    /// Only to say whether this build could succeed a daemon of these versions (keeper/estate.hpp).
    std::optional<std::string> succeeds;
};

/// Prints help, the version or what is wrong and exits where one of those is due.
[[nodiscard]] Arguments parse_arguments(int argc, char** argv);

}  // namespace clusterd
