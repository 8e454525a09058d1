// A worker that no file describes: the options of `start … -- COMMAND`, and the spec they make.
#pragma once

#include <string>
#include <vector>

#include "clusterctl/verb.hpp"
#include "core/spec.hpp"

namespace cluster::clusterctl {

struct AdHocOptions {
    std::string name;
    std::string instances;
    std::string cwd;
    std::vector<std::string> variables;
    bool keep_env = false;
    std::string restart;
    std::string user;
    std::string store;
    bool no_store = false;
    std::string group;
    std::string stop_signal;
    std::string stop_timeout;
    std::string min_uptime;

    void declare(OptionSink& options);

    /// The first of them that was given; null: none.
    [[nodiscard]] const char* first_given() const;

    /// The whole spec: our working directory and PATH are recorded. Throws Failure for what is
    /// wrong, with the option's name.
    [[nodiscard]] core::WorkerSpec make_spec(const std::vector<std::string>& command) const;
};

}  // namespace cluster::clusterctl
