// JSON-RPC 2.0 between clusterctl (or anybody of the same user) and the supervisor: one object a
// line, UTF-8, both ways. This room names requests and renders answers; it never acts. Every method
// with its fields and errors: CONTROL.md.
//
// Requests come from strangers: parse_request refuses whatever is not exactly a known method with
// known fields, and says which field is wrong. Batches are refused. A line is at most
// kMaxLineBytes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <tl/expected.hpp>

#include "core/spec.hpp"

namespace cluster::ctl {

inline constexpr std::size_t kMaxLineBytes = 4U << 20U;
inline constexpr std::uint32_t kControlVersion = 1;

/// JSON-RPC's own codes, then ours. The same table stands in CONTROL.md.
enum class ErrorCode : std::int32_t {
    parse_error = -32700,
    invalid_request = -32600,
    method_not_found = -32601,
    invalid_params = -32602,
    internal_error = -32603,
    no_match = 1,    // a selector matched nothing
    bad_config = 2,  // data.diagnostics lists them
    refused = 3,     // understood, and not possible now; the message says why
    name_taken = 4,
    unknown_operation = 5,
    shutting_down = 6,
};

/// `id` is echoed as it came: a number, a string or null, kept as JSON text.
struct RequestId {
    std::string json = "null";
};

struct RpcError {
    ErrorCode code = ErrorCode::internal_error;
    std::string message;
    std::vector<std::string> diagnostics;  // bad_config: formatted, one per mistake
};

namespace request {
struct Version {};   // daemon.version
struct Shutdown {};  // daemon.shutdown → operation
struct Upgrade {
    std::string program;  // absolute path of another clusterd
};  // daemon.upgrade: answered only when it is refused
struct Status {
    std::vector<std::string> selectors;  // empty: all
    std::vector<std::string> fields{};   // of a row, by their JSON names; empty: all
};  // workers.status
struct Start {
    std::vector<std::string> selectors;
};  // workers.start → operation
struct Stop {
    std::vector<std::string> selectors;
};
struct Restart {
    std::vector<std::string> selectors;
};
/// workers.reload: new runs, brought in as each worker's `reload` says → operation
struct Reload {
    std::vector<std::string> selectors;
    bool force = false;  // instead of a reload that is under way, not after it
};
struct Delete {
    std::vector<std::string> selectors;
};  // whole workers only
/// workers.load: the text of a config file; the daemon parses it again and trusts nothing.
struct Load {
    std::string path;  // absolute, for diagnostics and relative paths
    std::string text;
    std::string base_path;  // the caller's PATH
    bool after_restore =
        false;  // the caller has just started the daemon: what that brought back and has ended, ran
};
/// workers.apply: as workers.load, but the workers that came from this file are exactly those in it
/// afterwards. dry_run: only the plan.
struct Apply {
    std::string path;
    std::string text;
    std::string base_path;
    bool dry_run = false;
};
/// workers.add: one ad-hoc worker, as a whole spec.
struct Add {
    core::WorkerSpec spec;
};
/// workers.scale: to `instances`, or by `delta`.
struct Scale {
    std::string name;
    std::optional<std::uint32_t> instances;
    std::optional<std::int32_t> delta;
};
struct Signal {
    int signal = 0;
    std::vector<std::string> selectors;
};  // workers.signal: main processes
struct Reset {
    std::vector<std::string> selectors;
};  // workers.reset: forgets failures → operation
struct Describe {
    std::vector<std::string> selectors;
};  // workers.describe
/// logs.rotate: archives of the logs of these instances are made now; empty: of all.
struct Rotate {
    std::vector<std::string> selectors;
};
/// messages.send: to all that `to` names; with wait_ms to one of them, whose reply is waited for.
struct Send {
    std::string to;
    std::string message;                   // JSON, passed on as it stands
    std::optional<std::uint32_t> wait_ms;  // Bounds: 1 … 600,000
};
struct Publish {
    std::string topic;
    std::string message;
};  // messages.publish
/// messages.follow: the messages after the one with this number, as soon as there are any. Without
/// a number: the number of the newest, at once.
struct Follow {
    std::optional<std::uint64_t> after;
    std::string topic;          // pattern; empty: all messages
    std::uint32_t wait_ms = 0;  // Bounds: ≤ 60,000
};
/// operation.wait: answers when the operation is settled or timeout_ms has passed, whichever is
/// first. timeout_ms = 0 asks for the state as it is.
struct Wait {
    std::uint64_t operation = 0;
    std::uint32_t timeout_ms = 0;  // Bounds: ≤ 60,000
};
struct ListStores {};  // store.list
/// store.open: the segment comes as a descriptor beside the answer; it is made if there is none.
struct OpenStore {
    std::string name;
};
}  // namespace request

using Method =
    std::variant<request::Version, request::Shutdown, request::Upgrade, request::Status,
                 request::Start, request::Stop, request::Restart, request::Delete, request::Load, request::Add,
                 request::Scale, request::Wait, request::Apply, request::Signal, request::Reset,
                 request::Describe, request::Rotate, request::Reload, request::ListStores,
                 request::OpenStore, request::Send, request::Publish, request::Follow>;

struct Request {
    RequestId id;
    Method method;
};

/// A refused line: the answer to send, with whatever id could still be read.
struct BadRequest {
    RequestId id;
    RpcError error;
};

[[nodiscard]] tl::expected<Request, BadRequest> parse_request(std::string_view line);
[[nodiscard]] std::string render_request(const Request& request);  // one line, newline included

// --- answers: rendered by the supervisor, parsed by clusterctl
// -------------------------------------------------------

struct VersionAnswer {
    std::string version;
    std::uint32_t control_version = kControlVersion;
    std::int32_t pid = 0;  // keeper
    std::int32_t supervisor_pid = 0;
    std::string events{};  // absolute path of the event file
    std::uint32_t successions = 0;  // how often another keeper took over: upgrades and deaths
};

struct LastExit {
    std::optional<int> code;
    std::optional<std::string> signal;  // "SIGKILL"
    std::string reason;  // exited | stopped | killed | start_timeout | spawn_failed | unknown
    std::optional<std::string> detail;  // "exec ./srv: Permission denied"
    std::int64_t at_ms = 0;             // Units: milliseconds since 1970
};

/// One row of `status`; DESIGN section 7 fixes the JSON names.
struct WorkerStatus {
    std::string id;
    std::string name;
    std::uint32_t instance = 0;
    std::optional<std::string> group;
    std::string state;
    bool ready = false;
    std::optional<std::int32_t> pid;
    std::uint32_t restarts = 0;
    std::optional<std::int64_t> uptime_ms;
    std::optional<std::uint64_t> rss_bytes;
    std::optional<double> cpu_percent;
    std::optional<LastExit> last_exit;
    std::optional<std::int64_t> next_start_ms;  // from now
    bool is_wanted = false;                     // JSON: "wanted"
    std::string out_log;                        // absolute paths; JSON: "out_log", "err_log"
    std::string err_log;
    std::optional<std::string> log_problem{};  // why its output cannot be written now
    std::uint64_t log_lost_bytes = 0;          // of this run's output, thrown away because of that
    std::optional<std::string> status_text;    // what it said of itself (STATUS= of sd_notify)
    std::optional<std::string> waits_for;      // "db to be ready"
    /// While the instance is reloaded: queued | old | new | restarting | signalled; JSON: "reload".
    /// An old and a new row have the same id.
    std::optional<std::string> reload{};
    bool is_outdated = false;  // runs by a spec that its worker no longer has; JSON: "outdated"
};

struct DaemonStatus {
    std::int32_t pid = 0;
    std::int32_t supervisor_pid = 0;
    std::string version;
    std::int64_t uptime_ms = 0;
    std::optional<std::string> config;
    std::string log_dir;
    std::uint64_t supervisor_starts = 1;
};

/// A listening socket of the config.
struct SocketStatus {
    std::string name;
    std::string kind;                    // tcp | udp | unix | unix datagram | unix seqpacket
    std::string listen;                  // as configured
    std::optional<std::string> address;  // where it is bound; absent: it is not open
    std::optional<std::string> problem;  // why it is not open
    std::optional<std::uint32_t>
        waiting;  // connections that nobody has accepted yet; datagrams: bytes
    std::optional<std::int32_t> number;  // describe: the worker's descriptor
};

struct StatusAnswer {
    DaemonStatus daemon;
    std::vector<WorkerStatus> workers;
    std::vector<SocketStatus> sockets;  // of these workers, each once
    /// Of each row only these are rendered (as request::Status asked for), and none that is null.
    /// Not in the JSON; a row that was parsed has nothing where a field was not there.
    std::vector<std::string> fields{};
};

/// What became of an operation for one instance.
struct InstanceOutcome {
    std::string id;
    std::string outcome;                 // pending | done | failed
    std::string state;                   // the instance's state now
    std::optional<std::string> detail;   // failed: why. pending: what it waits for
    std::optional<std::string> err_log;  // where its stderr is
    bool is_serving = false;  // failed: the run that was there before still serves; JSON: "serving"
};

/// One key that differs; an absent side: it is not set there.
struct PlannedChange {
    std::string key;  // "stop_timeout", "env.PORT"
    std::optional<std::string> before;
    std::optional<std::string> after;
};

/// What workers.load and workers.apply do (or would do) to one worker.
struct PlannedWorker {
    std::string worker;
    std::string action;           // add | start | reload | change | unchanged | delete
    std::uint32_t instances = 0;  // afterwards
    std::vector<PlannedChange> changes;
};

/// Answer to every changing method and to operation.wait.
struct OperationAnswer {
    std::uint64_t operation = 0;
    std::string state;  // pending | done | failed
    std::vector<InstanceOutcome>
        instances;  // those that are pending or failed; the done ones are counted
    std::uint32_t done = 0;
    std::vector<std::string> selected;  // ids that the operation concerns, in order (at most 4096)
    std::vector<std::string> notes;     // e.g. "api: 2 → 4 instances"
    std::vector<PlannedWorker> plan{};  // of workers.load and workers.apply
};

/// An exit of the past. Newest last.
struct PastExit {
    LastExit exit;
    std::uint64_t run = 0;                  // generation; 0: not known
    std::optional<std::int32_t> pid;        // absent: it never ran
    std::optional<std::int64_t> uptime_ms;  // of the run
};

struct SpecKey {
    std::string key;
    std::string value;
    std::string origin;  // "default", "command line", or the file's path
};

struct Variable {
    std::string name;
    std::optional<std::string> next;     // as the next run will have it; absent: it will not
    std::optional<std::string> running;  // as the running process was started with it
};

struct OpenDescriptor {
    std::int32_t number = 0;
    std::string target;  // as /proc shows it
};

/// The message channel of a run (CHANNEL.md); counts are of lines unless they say otherwise.
struct ChannelStatus {
    std::string mode;   // node | json
    std::string state;  // open, or why it is closed
    std::uint64_t received = 0;
    std::uint64_t sent = 0;          // queued towards the worker
    std::uint64_t queued_bytes = 0;  // of them, not taken by the worker yet
    std::uint32_t subscriptions = 0;
    std::uint32_t requests = 0;                  // that wait for their reply
    std::optional<std::int64_t> heartbeat_ms{};  // since the last one
    // what went wrong
    std::uint64_t malformed = 0;
    std::uint64_t too_long = 0;
    std::uint64_t unfinished = 0;     // cut off by an end
    std::uint64_t dropped = 0;        // not read in time
    std::uint64_t undeliverable = 0;  // longer than the queue
    std::uint64_t unanswered = 0;     // replies to nothing
    std::uint64_t descriptors = 0;    // sent uninvited, and closed
    std::uint64_t unmatched = 0;      // rules that named a missing field
};

/// An address that a worker of a Node.js cluster listens at.
struct ClusterAddress {
    std::string address;            // where the socket is bound
    std::string schedule;           // shared | round-robin
    std::uint64_t connections = 0;  // that it was handed and took; round-robin
};

/// A worker of a Node.js cluster (NODECLUSTER.md).
struct ClusterStatus {
    std::string state;             // offline | online | listening | draining | leaving
    bool drains = false;           // what drains it is in it
    std::uint32_t unanswered = 0;  // connections that it was handed and says nothing about
    std::vector<ClusterAddress> addresses;
    std::optional<std::string> problem{};  // why it does not listen somewhere
    std::optional<std::string> warning{};  // why it may be no worker of the cluster
};

/// Everything known about one instance.
struct Description {
    WorkerStatus status;
    std::string source;     // file, or empty: ad hoc
    std::uint64_t run = 0;  // generation of the current or the last run
    std::optional<std::string> waits_for;
    std::optional<std::string> deadline;      // what happens next by itself
    std::optional<std::int64_t> deadline_ms;  // from now
    std::vector<SocketStatus> sockets;
    std::vector<SpecKey> spec;
    bool is_environment_read = false;  // of the running process: Variable::running means something
    std::optional<std::string> environment_problem;  // why the next run's cannot be told
    std::vector<Variable> environment;
    std::uint32_t descriptor_count = 0;           // of the running process
    std::vector<OpenDescriptor> descriptors;      // the first of them
    std::vector<PastExit> exits;                  // at most 20
    std::optional<std::string> reload_failure{};  // of the last reload, where that failed
    std::optional<ChannelStatus> channel{};       // none: the worker has none, or does not run
    std::optional<ClusterStatus> cluster{};       // none: it is of none, or does not run
    /// Why the last liveness probe failed; absent: it did not.
    std::optional<std::string> liveness_failure{};
    /// Datagrams to its notify socket that were refused: not of the run, or none of sd_notify.
    std::uint64_t refused_notifications = 0;
    /// Names of the descriptors that it has stored (FDSTORE=1), in the order of LISTEN_FDNAMES.
    std::vector<std::string> stored_descriptors{};
};

struct DescribeAnswer {
    std::vector<Description> instances;
};

/// Answer to logs.rotate.
struct RotateAnswer {
    std::uint32_t archives = 0;  // how many were made
};

/// A store, and its segment if there is one yet.
struct StoreStatus {
    core::StoreSpec spec;
    std::optional<std::uint64_t> inode{};
    std::optional<std::uint64_t> generation{};
};

/// Answer to store.list, and to store.open (one).
struct StoresAnswer {
    std::vector<StoreStatus> stores;
};

/// Answer to messages.send and messages.publish.
struct SendAnswer {
    std::uint32_t delivered = 0;
    std::optional<std::string> from;   // who has replied
    std::optional<std::string> reply;  // JSON
    std::optional<std::string> error;  // why there is no reply
};

struct SeenMessage {
    std::int64_t at_ms = 0;            // Units: milliseconds since 1970
    std::optional<std::string> from;   // none: from outside
    std::optional<std::string> topic;  // none: it was not published
    std::string message;               // JSON
};

/// Answer to messages.follow.
struct FollowAnswer {
    std::uint64_t last = 0;    // to ask after, the next time
    std::uint64_t missed = 0;  // so many came and went since `after`
    std::vector<SeenMessage> messages;
};

using Answer = std::variant<VersionAnswer, StatusAnswer, OperationAnswer, DescribeAnswer,
                            RotateAnswer, StoresAnswer, SendAnswer, FollowAnswer>;

[[nodiscard]] std::string render_answer(const RequestId& id,
                                        const Answer& answer);  // one line, newline included
[[nodiscard]] std::string render_error(const RequestId& id, const RpcError& error);

/// The whole line as clusterctl gets it.
[[nodiscard]] tl::expected<VersionAnswer, RpcError> parse_version(std::string_view line);
[[nodiscard]] tl::expected<StatusAnswer, RpcError> parse_status(std::string_view line);
[[nodiscard]] tl::expected<OperationAnswer, RpcError> parse_operation(std::string_view line);
[[nodiscard]] tl::expected<DescribeAnswer, RpcError> parse_description(std::string_view line);
[[nodiscard]] tl::expected<RotateAnswer, RpcError> parse_rotated(std::string_view line);
[[nodiscard]] tl::expected<StoresAnswer, RpcError> parse_stores(std::string_view line);
[[nodiscard]] tl::expected<SendAnswer, RpcError> parse_sent(std::string_view line);
[[nodiscard]] tl::expected<FollowAnswer, RpcError> parse_followed(std::string_view line);

/// The `--json` document of `clusterctl status`: DESIGN section 7's shape, pretty-printed.
[[nodiscard]] std::string status_document(const StatusAnswer& answer);

}  // namespace cluster::ctl
