// A config file as clusterctl reads it: the whole text, checked before it goes anywhere.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/spec.hpp"

namespace cluster::clusterctl {

struct ConfigFile {
    std::string path;  // absolute
    std::string text;
    std::string base_path;                 // our PATH, which its workers get
    std::optional<core::Config> config;    // absent: see below
    std::string unreadable;                // why the text could not be had; empty: it could
    std::vector<std::string> diagnostics;  // each a text for people, newline at the end
};

/// Workers of other files; nothing where only the daemon can tell.
using KnownWorkers = std::optional<std::vector<std::string>>;

/// "-" is stdin, with relative paths taken from the working directory. Never throws for what is
/// wrong with the file. `known`: what its workers may require beside one another.
[[nodiscard]] ConfigFile read_config(const std::string& name, const KnownWorkers& known);

/// As read_config, but anything wrong is a Failure (exit code 2) with all mistakes; `consequence`
/// says what follows: "nothing was started".
/// `find_known` is asked only where a worker requires one that the file does not have, or where
/// there are mistakes.
[[nodiscard]] ConfigFile read_good_config(const std::string& name,
                                          const std::function<KnownWorkers()>& find_known,
                                          const char* consequence);

}  // namespace cluster::clusterctl
