// The upgrade of the running daemon: whether the other program can take over is tried first, by a
// job; then the keeper executes it in its own place, and this supervisor ends.
//
// A client is answered only when there is no upgrade: its connection ends with this supervisor, and
// the next one tells the new version (CONTROL.md, daemon.upgrade).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "ctl/protocol.hpp"
#include "supervisor/control_server.hpp"
#include "supervisor/jobs.hpp"
#include "supervisor/journal.hpp"
#include "supervisor/keeper_link.hpp"

namespace cluster::supervisor {

/// What a successor has to understand: the keeper's versions, a slash, that of the state memfd.
[[nodiscard]] std::string versions_for_successor();

class Upgrade {
public:
    Upgrade(KeeperLink& keeper, Jobs& jobs, ControlServer& clients, Journal& journal)
        : keeper_(keeper), jobs_(jobs), clients_(clients), journal_(journal) {}

    /// Takes a daemon.upgrade request. False: it is another one.
    [[nodiscard]] bool handle(const ClientRequest& request, bool is_shutting_down);

    /// The other program has passed its trial: carry_out() is due at the end of this turn.
    [[nodiscard]] bool is_due() const { return is_due_; }
    /// Requires: is_due().
    [[nodiscard]] const std::string& program() const { return asked_->program; }
    /// True: the new keeper waits for us to end. False: it was refused, and the client was told.
    [[nodiscard]] bool carry_out();

private:
    struct Asked {
        ClientId client;
        ctl::RequestId id;
        std::string program;
    };
    void refuse(std::string message);
    void on_tried(const std::string& failure);

    KeeperLink& keeper_;
    Jobs& jobs_;
    ControlServer& clients_;
    Journal& journal_;
    std::optional<Asked> asked_;
    bool is_due_ = false;
};

}  // namespace cluster::supervisor
