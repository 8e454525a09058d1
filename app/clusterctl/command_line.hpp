// From argv to a verb that is ready to run. The only user of the option library.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "clusterctl/verb.hpp"

namespace cluster::clusterctl {

struct Invocation {
    std::unique_ptr<Verb> verb;  // null: `text` is all there is to do
    CommonOptions options;
    std::string text;  // help, for stdout
};

/// Throws Failure for bad usage. `is_json` is set as early as possible, so that even that Failure
/// can be shown as JSON.
[[nodiscard]] Invocation parse_command_line(const std::vector<std::string>& arguments,
                                            bool& is_json);

}  // namespace cluster::clusterctl
