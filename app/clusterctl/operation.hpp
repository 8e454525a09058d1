// Changing verbs from the answer on: wait until the state is reached, show progress, say what
// failed and why, and end with the table.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "clusterctl/client.hpp"
#include "clusterctl/session.hpp"
#include "clusterctl/verb.hpp"

namespace cluster::clusterctl {

/// --no-wait and --timeout.
struct WaitOptions {
    bool no_wait = false;
    std::string timeout;  // "30s"; empty: as long as it takes

    void declare(OptionSink& options);
    /// Throws Failure for a text that is no duration.
    [[nodiscard]] std::optional<Duration> limit() const;
};

/// Which workers the table at the end shows.
struct Shown {
    bool all = false;
    std::vector<std::string> names{};  // besides those that the operation concerned
};

/// The last answer: settled, or pending because the limit has passed. Throws Failure (exit 130)
/// after SIGINT.
[[nodiscard]] ctl::OperationAnswer wait_until_settled(Session& session, Client& client,
                                                      ctl::OperationAnswer operation,
                                                      std::optional<Duration> limit);

/// The whole of it, for what `operation` began. The exit code.
[[nodiscard]] int finish_operation(Session& session, Client& client, ctl::OperationAnswer operation,
                                   const WaitOptions& options, const Shown& shown);

/// What stop, restart and delete have in common: the selectors must be there, the daemon must be
/// there. `example` ends the message about missing selectors: "clusterctl stop api".
[[nodiscard]] int change_selected(Session& session, const std::vector<std::string>& selectors,
                                  ctl::Method method, const WaitOptions& options,
                                  const Shown& shown, const char* example);

}  // namespace cluster::clusterctl
