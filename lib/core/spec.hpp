// What an operator asked for, after every mistake was refused: the contract between conf (which
// makes it), core (which decides by it) and the supervisor (which compiles it into spawn plans).
//
// A WorkerSpec is complete: every default has been filled in, every path is absolute, every number
// is in range. Equality is what `start FILE` calls "unchanged".
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/time.hpp"
#include "core/socket_spec.hpp"

namespace cluster::core {

/// Bounds of the whole daemon. Source: the sizes of the keeper's table and of the state memfd
/// (PROTOCOL.md, STATE.md).
inline constexpr std::uint32_t kMaxInstancesPerWorker = 4096;
inline constexpr std::size_t kMaxNameLength = 64;
/// The window of a restart limit is a fixed array in the state memfd, so its count is bounded.
inline constexpr std::uint32_t kMaxRestartLimitCount = 32;

enum class RestartPolicy : std::uint8_t { always, on_failure, never };

/// delay(k) = min(max, initial · factor^k) for the k-th failure in a row, then ± jitter (a fraction
/// of the delay).
struct Backoff {
    Duration initial = std::chrono::milliseconds{100};
    double factor = 2.0;
    Duration max = std::chrono::seconds{30};
    double jitter = 0.1;
    /// A run that lived at least this long starts the series again.
    Duration reset_after = std::chrono::seconds{30};

    friend bool operator==(const Backoff&, const Backoff&) = default;
};

/// More than `count` automatic restarts within `window` is a crash loop.
struct RestartLimit {
    enum class Then : std::uint8_t {
        slow,   // keep trying, but never sooner than backoff.max
        fatal,  // give up until somebody starts it again
    };
    std::uint32_t count = 10;  // Bounds: 1 … kMaxRestartLimitCount
    Duration window = std::chrono::minutes{1};
    Then then = Then::slow;

    friend bool operator==(const RestartLimit&, const RestartLimit&) = default;
};

/// What a run is asked from outside, and how often.
struct Probe {
    enum class Kind : std::uint8_t {
        none,
        tcp,          // something accepts connections at host:port
        unix_socket,  // something accepts connections at `path`
        http,         // a server at host:port answers a GET of `path` well
        command,      // a command ends with exit code 0
    };
    static constexpr std::uint32_t kMaxThreshold = 1000;
    static constexpr Duration kMinPeriod = std::chrono::milliseconds{10};

    Kind kind = Kind::none;
    std::string host;                  // tcp, http: a numeric address, or "localhost"
    std::uint16_t port = 0;            // tcp, http. Bounds: 1 …
    std::string path;                  // unix_socket: absolute; http: "/" and what follows
    std::uint16_t status = 0;          // http: the one good status; 0: any from 200 to 399
    std::vector<std::string> command;  // command: argv

    Duration initial_delay{0};
    Duration period = std::chrono::milliseconds{500};
    Duration timeout = std::chrono::seconds{1};  // of one probe. Bounds of both: kMinPeriod …
    std::uint32_t success_threshold = 1;         // in a row. Bounds: 1 … kMaxThreshold
    std::uint32_t failure_threshold = 3;         // of liveness, in a row. Bounds: as above

    friend bool operator==(const Probe&, const Probe&) = default;
};

/// How one knows that a run is ready for those who use it.
struct Readiness {
    enum class Kind : std::uint8_t {
        exec,             // the program was executed
        notify,           // it says READY=1 on its NOTIFY_SOCKET
        channel,          // it says "ready" over its message channel
        listen,           // a Node.js cluster worker listens
        notification_fd,  // it writes a line to a descriptor of that number
        probe,            // `probe` succeeds, and is then left alone
    };
    Kind kind = Kind::exec;
    Probe probe;              // probe: other than none; the first ones come faster than its period
    int notification_fd = 0;  // notification_fd. Bounds: 3 … kMaxNotificationFd

    friend bool operator==(const Readiness&, const Readiness&) = default;
};
inline constexpr int kMaxNotificationFd = 63;  // wire::kMaxTargetFd - 1

/// The part of a spec that the worker's state machine reads.
struct Policy {
    RestartPolicy restart = RestartPolicy::always;
    Backoff backoff;
    RestartLimit restart_limit;
    std::bitset<256> success_exit_codes{1};  // bit n: exit code n is a success
    int stop_signal = 15;                    // SIGTERM
    Duration stop_timeout = std::chrono::seconds{10};
    Duration min_uptime = std::chrono::seconds{1};
    Duration start_timeout = std::chrono::seconds{30};
    Readiness ready;
    /// A ready run that says WATCHDOG=1 on its NOTIFY_SOCKET less often hangs; zero: none is asked
    /// for.
    Duration watchdog{0};
    Probe liveness;  // of a ready run: failure_threshold failures in a row end it; none: not asked
    std::uint64_t max_memory = 0;  // of the whole process tree, in bytes; 0: no limit

    friend bool operator==(const Policy&, const Policy&) = default;
};

/// One resource limit as setrlimit(2) takes it. kUnlimited stands for RLIM_INFINITY.
struct ResourceLimit {
    static constexpr std::uint64_t kUnlimited = ~std::uint64_t{0};
    std::string name;  // as in the config: "nofile", "core", …
    std::uint64_t soft = kUnlimited;
    std::uint64_t hard = kUnlimited;

    friend bool operator==(const ResourceLimit&, const ResourceLimit&) = default;
};

/// A file of variables, read again at each start (conf/dotenv.hpp).
struct EnvFile {
    std::string path;       // absolute
    bool is_plain = false;  // '$' means nothing in it

    friend bool operator==(const EnvFile&, const EnvFile&) = default;
};

/// Which store a worker gets.
struct StoreChoice {
    enum class Kind : std::uint8_t {
        automatic,  // the default one; none, where it runs as another user than the daemon
        none,
        named,
    };
    Kind kind = Kind::automatic;
    std::string name;  // named: as StoreSpec::name

    friend bool operator==(const StoreChoice&, const StoreChoice&) = default;
};

/// How a worker speaks with the daemon over its message channel.
enum class ChannelMode : std::uint8_t {
    automatic,  // node where the program is node, nodejs or bun, else json
    node,       // as the IPC channel of Node.js: process.send() works
    json,       // CLUSTER_CHANNEL_FD alone
    off,
};

/// All that a spawn carries goes into one message (wire::kMaxFdsPerMessage): the sockets, these, and
/// what the daemon itself adds.
inline constexpr std::uint32_t kMaxStoredFds = 24;

/// Who accepts the connections of a Node.js cluster worker.
enum class NodeSchedule : std::uint8_t {
    shared,       // every worker has the listening socket
    round_robin,  // the daemon, which hands them out one after the other
};

/// A worker whose program is Node.js, as its cluster module has workers. The others count only
/// where `cluster` is true.
struct NodeSpec {
    bool cluster = false;
    bool drain = true;                 // connections end with their request before a run is stopped
    bool shared_array_buffer = false;  // SharedArrayBuffer is memory that all its runs share
    NodeSchedule schedule = NodeSchedule::shared;

    friend bool operator==(const NodeSpec&, const NodeSpec&) = default;
};

/// How one process of the worker is started. Names (user, command) are resolved at each start, not
/// when read.
struct Launch {
    std::vector<std::string> command;  // argv; for shell = true: {"/bin/sh", "-c", text}
    std::string cwd;                   // absolute
    std::vector<EnvFile> env_files;    // the later ones win; `env` wins over all
    std::map<std::string, std::string> env;
    std::string base_path;  // PATH as the daemon or the ad-hoc caller had it
    bool keep_env = false;  // ad hoc only: the base is `inherited_env` instead of the safe one
    std::map<std::string, std::string> inherited_env;
    std::string user;   // empty: as the daemon
    std::string group;  // empty: the user's primary group
    std::uint32_t umask = 022;
    std::optional<int> nice;  // absent: inherited. Bounds: -20 … 19
    std::vector<ResourceLimit> limits;
    std::string standard_input;  // absolute path, opened at each start; empty: /dev/null
    StoreChoice store;
    ChannelMode channel = ChannelMode::automatic;
    /// So many descriptors it may leave with the daemon, which hands them to the next run.
    /// Bounds: 0 … kMaxStoredFds
    std::uint32_t fd_store_max = 0;
    NodeSpec node;

    friend bool operator==(const Launch&, const Launch&) = default;
};

/// How what a worker writes is kept. Units: bytes.
struct LogSpec {
    static constexpr std::uint64_t kUnlimited = ~std::uint64_t{0};
    static constexpr std::uint64_t kMinSize = std::uint64_t{4} << 10U;
    static constexpr std::uint64_t kMinLine = std::uint64_t{1} << 10U;
    static constexpr std::uint64_t kMaxLine = std::uint64_t{1} << 20U;
    static constexpr std::uint32_t kMaxKeep = 10'000;

    /// A log that has reached it becomes an archive, at the end of a line. Bounds: kMinSize …
    std::uint64_t max_size = std::uint64_t{50} << 20U;
    /// Archives of one log; older ones are removed. Bounds: 0 … kMaxKeep
    std::uint32_t keep = 10;
    /// Of one log and its archives. Bounds: max_size …
    std::uint64_t max_total_size = kUnlimited;
    bool compress = true;
    bool timestamp = false;
    bool merge = false;
    /// Longer lines are split; where no line is looked at (neither timestamp nor merge), none is.
    /// Bounds: kMinLine … kMaxLine
    std::uint64_t max_line = std::uint64_t{64} << 10U;

    friend bool operator==(const LogSpec&, const LogSpec&) = default;
};

/// How `reload` brings in new runs of a worker (core/reload.hpp).
struct ReloadSpec {
    enum class Mode : std::uint8_t {
        automatic,   // overlap for workers that inherit sockets or are of a Node.js cluster, else
                     // stop_first
        overlap,     // the old run serves until the new one has proved itself
        stop_first,  // the old run is stopped before the new one is started
    };
    static constexpr std::uint32_t kMaxAtOnce = kMaxInstancesPerWorker;

    Mode mode = Mode::automatic;
    std::uint32_t batch = 1;  // instances that are replaced at a time. Bounds: 1 … kMaxAtOnce
    /// overlap: so many processes more than `instances` may be there, old ones that still drain
    /// included. Bounds: 1 … kMaxAtOnce
    std::uint32_t surge = 1;
    /// The program reloads itself on this signal to its main process; 0: it does not.
    int signal = 0;

    friend bool operator==(const ReloadSpec&, const ReloadSpec&) = default;
};

struct WorkerSpec {
    std::string name;   // [A-Za-z0-9_-]{1,64}, never "all"
    std::string group;  // the selector @group; empty: none
    std::uint32_t instances = 1;
    bool autostart = true;
    std::string source;  // absolute path of the config file it came from; empty: ad hoc
    /// Names of workers that are started and ready before it, and stopped after it. None twice,
    /// never its own; no cycle.
    std::vector<std::string> requirements;
    /// Workers that are started with it, too, and have become ready or failed before it starts.
    std::vector<std::string> wants;
    /// Workers that, if they are on their way up, have become ready or failed before it starts.
    /// Nothing starts them because of it. Of both lists: if they stop together, it leaves first.
    std::vector<std::string> after;
    /// Listening sockets that it inherits, in this order. Bounds: kMaxSocketsPerWorker, no name
    /// twice. A socket of the same name in several workers is the same one.
    std::vector<SocketSpec> sockets;
    std::optional<SocketSpec> stdin_socket;  // its standard input, besides; may be one of `sockets`
    bool stop_message = false;  // "shutdown" over its channel instead of the stop signal
    Policy policy;
    ReloadSpec reload;
    LogSpec log;
    Launch launch;

    friend bool operator==(const WorkerSpec&, const WorkerSpec&) = default;
};

/// True when a change from one spec to the other takes effect with a new run only; what else may
/// differ holds for the runs that there are.
[[nodiscard]] bool needs_new_run(const WorkerSpec& from, const WorkerSpec& to);

/// Every worker that comes before this one, for whatever reason.
[[nodiscard]] std::vector<std::string> predecessors_of(const WorkerSpec& spec);

/// Every socket of a worker, `stdin_socket` last; one that stands in both places comes once.
[[nodiscard]] std::vector<const SocketSpec*> sockets_of(const WorkerSpec& spec);

/// The worker's descriptor for a socket of that name: 3 and on, 0 for its standard input. Nothing:
/// it does not get that one.
[[nodiscard]] std::optional<int> socket_number(const WorkerSpec& spec, std::string_view name);
/// Its Launch with every {socket:NAME} of its sockets replaced by the number.
[[nodiscard]] Launch launch_with_sockets(const WorkerSpec& spec);

/// What happens to a worker that does not read what is sent to it.
enum class SlowReader : std::uint8_t {
    drop_oldest,  // the oldest messages make room; their number is delivered
    disconnect,   // its channel is closed
};

/// What the daemon does with an application message of a worker, so that programs which know
/// nothing of it share what they count. Exactly one of incr, set, publish, forward and log is
/// given.
struct ChannelRule {
    using Scalar = std::variant<std::string, std::int64_t, double, bool>;
    std::map<std::string, Scalar> match;  // fields of the message, all of them equal
    std::string incr;                     // the key to whose number `by` is added
    std::string by;                       // field with an integer; empty: 1 is added
    std::string set;                      // the key that gets the field `value`
    std::string value = "value";
    std::string publish;    // the topic that it goes to
    std::string forward;    // the selector of those that get it as it is
    bool log = false;       // it is written to the daemon's log
    std::string broadcast;  // of incr and set: {"type": …, "value": …} goes to all workers

    friend bool operator==(const ChannelRule&, const ChannelRule&) = default;
};

/// The [channel] table. That of the last file which has one counts.
struct ChannelSpec {
    static constexpr std::uint64_t kMinLine = std::uint64_t{4} << 10U;
    static constexpr std::uint64_t kMaxLine = std::uint64_t{256} << 20U;
    static constexpr std::uint64_t kMaxQueue = std::uint64_t{1} << 30U;

    /// Longer lines of a worker are thrown away. Bounds: kMinLine … kMaxLine
    std::uint64_t max_line = std::uint64_t{1} << 20U;
    /// Of what waits for one worker to read it. Bounds: 2 · max_line … kMaxQueue
    std::uint64_t max_queue = std::uint64_t{4} << 20U;
    SlowReader slow_reader = SlowReader::drop_oldest;
    Duration request_timeout = std::chrono::seconds{10};  // where a request names none
    std::vector<ChannelRule> rules;  // in the order of the file; all that match

    friend bool operator==(const ChannelSpec&, const ChannelSpec&) = default;
};

/// The store that [store] describes, and that there is without it.
inline constexpr const char* kDefaultStore = "default";
inline constexpr std::size_t kMaxStores = 64;

/// Which of a store's memory is put into huge pages, where the kernel has them.
enum class HugePages : std::uint8_t {
    used,  // the parts that are mostly in use, as they come to be
    all,   // everything, which has its memory from the start
    none,
};
/// Their names, in files and in JSON.
inline constexpr std::array<std::string_view, 3> kHugePagesNames{"used", "all", "none"};
[[nodiscard]] constexpr std::string_view name_of(HugePages pages) {
    return kHugePagesNames[static_cast<std::size_t>(pages)];
}

/// [store] or [store.NAME]: a segment of shared memory. Its bounds are those of lib/store.
struct StoreSpec {
    std::string name = kDefaultStore;               // as a group's name
    std::uint64_t size = std::uint64_t{64} << 20U;  // Units: bytes. All of it: tables and blocks
    std::uint32_t counters = 4096;
    std::uint32_t striped_counters = 64;
    std::uint32_t participants = 1024;  // threads that may change it at the same time
    HugePages huge_pages = HugePages::used;
    std::string source;                 // absolute path of the config file; empty: the defaults

    /// Segments of the two are made alike. The size of one that is there cannot change.
    [[nodiscard]] bool has_same_shape(const StoreSpec& other) const {
        return size == other.size && counters == other.counters &&
               striped_counters == other.striped_counters && participants == other.participants;
    }
    friend bool operator==(const StoreSpec&, const StoreSpec&) = default;
};

/// The [daemon] table. A running daemon accepts a second file only if this is equal.
struct DaemonSpec {
    std::optional<std::string> log_dir;  // absolute
    std::string log_level = "info";      // trace | debug | info | warn | error
    std::uint32_t parallel_starts = 0;   // instances between spawn and ready; 0: any number

    friend bool operator==(const DaemonSpec&, const DaemonSpec&) = default;
};

/// A whole config file.
struct Config {
    DaemonSpec daemon;
    std::vector<StoreSpec> stores;       // that the file describes; none twice
    std::optional<ChannelSpec> channel;  // absent: the file has no such table
    std::vector<WorkerSpec> workers;     // in the order of the file

    friend bool operator==(const Config&, const Config&) = default;
};

}  // namespace cluster::core
