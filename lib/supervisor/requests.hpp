// What the requests of clients do: each becomes commands to the fleet, and an answer.
//
// A changing request is refused whole or accepted whole. Accepted, it is an operation: its id is
// the epoch that its instances now carry, and its outcome is read from them; so a client may ask
// for it again after our successor took over. operation.wait is answered when the operation is
// settled or its time is up. Answers leave only after the turn's state was stored
// (Supervisor::turn).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <tl/expected.hpp>

#include "core/fleet.hpp"
#include "ctl/protocol.hpp"
#include "supervisor/control_server.hpp"
#include "supervisor/journal.hpp"
#include "supervisor/load_plan.hpp"
#include "supervisor/logs.hpp"
#include "supervisor/records.hpp"
#include "supervisor/sockets.hpp"
#include "supervisor/status.hpp"
#include "supervisor/stores.hpp"

namespace cluster::supervisor {

class Requests {
public:
    /// `begin_shutdown(now)` stops everything as the last operation of this daemon.
    Requests(core::Fleet& fleet, Records& records, StatusReader& status, Logs& logs, Stores& stores,
             ControlServer& clients, MainProcesses& mains, Journal& journal, Sockets& sockets,
             std::function<void(Instant)> begin_shutdown);

    /// Does what the request says; its answer waits for send_answers().
    void handle(const ClientRequest& request, Instant now);
    /// Adds the workers of a config file: what workers.load does, and the daemon's own start with
    /// --config.
    [[nodiscard]] tl::expected<LoadPlan, ctl::RpcError> load(core::Config config,
                                                             const std::string& path, Scope scope,
                                                             Instant now);
    /// Reads the file that was loaded last again, as workers.apply would; what is wrong with it
    /// goes to the log, and nothing changes then.
    void reload_config(Instant now);

    /// Makes archives of the logs of the selected instances (all of them when the list is empty),
    /// or opens them anew where somebody moved them. Returns how many archives were made.
    std::uint32_t rotate_logs(const std::vector<std::string>& selectors);

    /// Sends what handle() prepared, and what operation.wait was waiting for. Call after the state
    /// was stored. `has_changed`: something in the fleet is not as it was at the last call.
    void send_answers(bool has_changed, Instant now);
    /// The next end of somebody's patience.
    [[nodiscard]] std::optional<Instant> next_deadline() const;

private:
    using Reply = tl::expected<ctl::Answer, ctl::RpcError>;
    struct Waiting {
        ClientId client;
        ctl::RequestId id;
        Epoch operation;
        Instant until;
        bool is_new = true;  // not looked at yet
    };
    struct Ready {
        ClientId client;
        std::string line;
        sys::UniqueFd descriptor{};  // beside the line
    };
    enum class Change : std::uint8_t { start, stop, restart };

    [[nodiscard]] std::optional<Reply> act(const ctl::Method& method, Instant now);
    [[nodiscard]] Reply version() const;
    [[nodiscard]] Reply read_status(const ctl::request::Status& request, Instant now) const;
    [[nodiscard]] Reply change(Change change, const std::vector<std::string>& selectors,
                               Instant now);
    [[nodiscard]] Reply reload(const ctl::request::Reload& request, Instant now);
    /// Opens what these workers need, so that whoever asks hears at once why it cannot be.
    /// `added`: specs that join the fleet or replace those of the same name; `removed`: who goes.
    [[nodiscard]] std::optional<ctl::RpcError> open_sockets(
        const std::vector<core::WorkerSpec>& added, const std::vector<std::uint32_t>& removed,
        Instant now);
    [[nodiscard]] Reply remove(const std::vector<std::string>& selectors, Instant now);
    [[nodiscard]] Reply load_text(const ctl::request::Load& request, Scope scope, bool is_dry_run,
                                  Instant now);
    [[nodiscard]] bool is_foreign(const core::DaemonSpec& spec, const std::string& path) const;
    [[nodiscard]] bool can_adopt(const core::DaemonSpec& spec) const;
    [[nodiscard]] std::optional<ctl::RpcError> adopt(const core::DaemonSpec& spec);
    [[nodiscard]] tl::expected<core::Config, ctl::RpcError> read_config(
        const ctl::request::Load& request, Scope scope) const;
    [[nodiscard]] tl::expected<std::vector<const core::Place*>, ctl::RpcError> select(
        const std::vector<std::string>& selectors, bool with_others) const;
    [[nodiscard]] Reply signal(const ctl::request::Signal& request);
    [[nodiscard]] Reply reset(const std::vector<std::string>& selectors, Instant now);
    [[nodiscard]] Reply describe_selected(const std::vector<std::string>& selectors, Instant now);
    [[nodiscard]] Reply add(const core::WorkerSpec& spec, Instant now);
    [[nodiscard]] Reply scale(const ctl::request::Scale& request, Instant now);
    [[nodiscard]] Reply rotate(const ctl::request::Rotate& request);
    [[nodiscard]] Reply open_store(const std::string& name);
    [[nodiscard]] Reply shut_down(Instant now);
    [[nodiscard]] ctl::OperationAnswer operation(Epoch epoch, Instant now) const;
    [[nodiscard]] ctl::OperationAnswer operation_now(std::vector<std::string> notes,
                                                     Instant now) const;
    void wait(const ClientRequest& request, const ctl::request::Wait& wait, Instant now);

    core::Fleet& fleet_;
    Records& records_;
    StatusReader& status_;
    Logs& logs_;
    Stores& stores_;
    ControlServer& clients_;
    MainProcesses& mains_;
    Journal& journal_;
    Sockets& sockets_;
    std::function<void(Instant)> begin_shutdown_;
    std::vector<Waiting> waiting_;
    std::vector<Ready> ready_;
};

}  // namespace cluster::supervisor
