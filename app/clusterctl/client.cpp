#include "clusterctl/client.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <utility>

#include "clusterctl/session.hpp"
#include "ctl/documents.hpp"
#include "ctl/line_buffer.hpp"
#include "sys/clock.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"
#include "sys/socket.hpp"

namespace cluster::clusterctl {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// What a healthy daemon never needs. While its supervisor starts again and again, somebody must
/// give up.
constexpr Duration kAnswerPatience = seconds{15};
constexpr Duration kReconnectPatience = seconds{10};
/// The daemon tries the other program first, after other jobs that may be under way, and gives it
/// ten seconds each for that and for taking over.
constexpr Duration kUpgradePatience = seconds{60};
/// Between two attempts while nobody accepts connections.
constexpr Duration kReconnectPause = milliseconds{20};
/// Thousands of instances with long paths. Bounds what a broken daemon can make us keep.
constexpr std::size_t kMaxAnswerBytes = std::size_t{64} << 20U;

/// True when asking twice does what asking once does; a restart counts, because what was asked for
/// is a new run.
struct IsRepeatable {
    bool operator()(const ctl::request::Delete&) const { return false; }
    bool operator()(const ctl::request::Add&) const { return false; }
    bool operator()(const ctl::request::Signal&) const { return false; }
    bool operator()(const ctl::request::Upgrade&) const { return false; }
    bool operator()(const ctl::request::Scale& scale) const { return scale.instances.has_value(); }
    template <class Other>
    bool operator()(const Other&) const {
        return true;
    }
};

std::string hint_for(ctl::ErrorCode code) {
    switch (code) {
        case ctl::ErrorCode::no_match:
            return "see what there is: clusterctl status";
        case ctl::ErrorCode::name_taken:
            return "or use the worker that is there: clusterctl restart NAME";
        case ctl::ErrorCode::shutting_down:
            return "wait until it is gone, then start it again: clusterctl start FILE";
        case ctl::ErrorCode::method_not_found:
        case ctl::ErrorCode::invalid_request:
        case ctl::ErrorCode::invalid_params:
            return "if this should be right, client and daemon are of different versions: "
                   "clusterctl version";
        case ctl::ErrorCode::unknown_operation:
            return "see how things stand: clusterctl status";
        case ctl::ErrorCode::bad_config:
        case ctl::ErrorCode::refused:
        case ctl::ErrorCode::parse_error:
        case ctl::ErrorCode::internal_error:
            return {};
    }
    return {};
}

template <class Answer>
Answer value_or_throw(tl::expected<Answer, ctl::RpcError> answer) {
    if (!answer) throw failure_of(answer.error());
    return std::move(*answer);
}

}  // namespace

Failure failure_of(const ctl::RpcError& error) {
    const int exit_code = error.code == ctl::ErrorCode::bad_config ? kUsage : kFailed;
    Failure failure(exit_code, ctl::error_code_name(error.code), error.message,
                    hint_for(error.code));
    failure.diagnostics = error.diagnostics;
    return failure;
}

bool Client::try_connect() {
    const std::string path = directories_.control_socket();
    const Instant deadline = sys::monotonic_now() + kAnswerPatience;
    while (true) {
        Result<sys::UniqueFd> socket = sys::connect_unix(path, true);
        if (socket) {
            socket_ = std::move(*socket);
            require_own_daemon();
            return true;
        }
        const int code = socket.error().code;
        if (code == ENOENT || code == ENOTDIR || code == ECONNREFUSED) return false;
        if (code != EAGAIN || sys::monotonic_now() >= deadline) {
            const bool is_foreign = code == EACCES || code == EPERM;
            const bool is_long = code == ENAMETOOLONG;
            throw Failure(
                kFailed, "failed", describe(socket.error(), path),
                is_foreign ? "the daemon of another user is not served here; use its user, or "
                             "name your own with --runtime-dir"
                : is_long
                    ? "choose a shorter runtime directory: a socket's path has at most 107 bytes"
                    : "");
        }
        // The queue of connections is full: nobody takes them at the moment.
        const Instant next = sys::monotonic_now() + kReconnectPause;
        if (wait_for(-1, false, interrupt_, next) == Woken::interrupted) throw Interrupted{};
    }
}

/// It would hang up on us without a word, and we would knock again and again.
void Client::require_own_daemon() const {
    const Result<sys::PeerCredentials> daemon = sys::peer_credentials(socket_.get());
    const std::uint32_t own = sys::current_uid();
    if (!daemon || own == 0 || daemon->uid == own) return;
    throw Failure(kFailed, "failed",
                  "the daemon at " + directories_.control_socket() + " belongs to user " +
                      std::to_string(daemon->uid) + " and serves nobody else but root",
                  "become that user, or name your own daemon with --runtime-dir");
}

void Client::connect() {
    if (try_connect()) return;
    throw Failure(kNoDaemon, "no_daemon",
                  "no daemon runs here (" + directories_.control_socket() + ")",
                  "start one with: clusterctl start FILE.toml, or: clusterctl start -- COMMAND");
}

std::uint32_t Client::rotate_logs(std::vector<std::string> selectors) {
    const std::string line = ask(ctl::request::Rotate{std::move(selectors)}, kAnswerPatience);
    return value_or_throw(ctl::parse_rotated(line)).archives;
}

ctl::StoresAnswer Client::list_stores() {
    return value_or_throw(ctl::parse_stores(ask(ctl::request::ListStores{}, kAnswerPatience)));
}

Client::OpenedStore Client::open_store(const std::string& name) {
    ctl::StoresAnswer answer =
        value_or_throw(ctl::parse_stores(ask(ctl::request::OpenStore{name}, kAnswerPatience)));
    if (answer.stores.size() != 1 || !beside_.is_open()) {
        throw Failure(kFailed, "failed", "the daemon did not hand over the store " + name,
                      "it may be short of descriptors: try again");
    }
    return {std::move(answer.stores.front()), std::move(beside_)};
}

ctl::SendAnswer Client::send_message(ctl::request::Send send) {
    is_reconnecting_ = false;
    const Duration patience = std::chrono::milliseconds{send.wait_ms.value_or(0)};
    return value_or_throw(ctl::parse_sent(ask(std::move(send), kAnswerPatience + patience)));
}

ctl::SendAnswer Client::publish_message(ctl::request::Publish publish) {
    is_reconnecting_ = false;
    return value_or_throw(ctl::parse_sent(ask(std::move(publish), kAnswerPatience)));
}

ctl::FollowAnswer Client::follow_messages(ctl::request::Follow follow) {
    const Duration patience = std::chrono::milliseconds{follow.wait_ms};
    return value_or_throw(ctl::parse_followed(ask(std::move(follow), kAnswerPatience + patience)));
}

ctl::VersionAnswer Client::version() {
    return value_or_throw(ctl::parse_version(ask(ctl::request::Version{}, kAnswerPatience)));
}

ctl::StatusAnswer Client::status(std::vector<std::string> selectors,
                                 std::vector<std::string> fields) {
    const bool is_part = !fields.empty();
    auto status = ctl::parse_status(
        ask(ctl::request::Status{selectors, std::move(fields)}, kAnswerPatience));
    // A daemon that an upgrade has left in its old version does not know `fields`.
    if (!status && is_part && status.error().code == ctl::ErrorCode::invalid_params) {
        return this->status(std::move(selectors));
    }
    return value_or_throw(std::move(status));
}

ctl::DescribeAnswer Client::describe_workers(std::vector<std::string> selectors) {
    return value_or_throw(
        ctl::parse_description(ask(ctl::request::Describe{std::move(selectors)}, kAnswerPatience)));
}

ctl::OperationAnswer Client::change(ctl::Method method) {
    return value_or_throw(ctl::parse_operation(ask(method, kAnswerPatience)));
}

ctl::OperationAnswer Client::wait(std::uint64_t operation, std::uint32_t timeout_ms) {
    return value_or_throw(ctl::parse_operation(ask(ctl::request::Wait{operation, timeout_ms},
                                                   kAnswerPatience + milliseconds{timeout_ms})));
}

void Client::upgrade(const std::string& program) {
    const ctl::RequestId id{std::to_string(++last_id_)};
    const std::string request = ctl::render_request({id, ctl::request::Upgrade{program}});
    const auto refusal = exchange(request, sys::monotonic_now() + kUpgradePatience);
    if (refusal) {
        const auto answer = ctl::parse_operation(*refusal);
        if (!answer) throw failure_of(answer.error());
    }
    socket_.reset();
    if (reconnect(sys::monotonic_now() + kReconnectPatience)) return;
    throw Failure(kNoDaemon, "no_daemon", "the daemon did not come back",
                  "its own log says more: " + directories_.daemon_log());
}

std::int32_t Client::listener_pid() const {
    const Result<sys::PeerCredentials> peer = sys::peer_credentials(socket_.get());
    return peer ? peer->pid : 0;
}

std::string Client::ask(const ctl::Method& method, Duration patience) {
    if (!socket_.is_open()) connect();
    const std::string request =
        ctl::render_request({ctl::RequestId{std::to_string(++last_id_)}, method});
    if (request.size() > ctl::kMaxLineBytes) {
        throw Failure(kUsage, "usage", "the request is too long for the daemon (4 MiB)");
    }
    const Instant start = sys::monotonic_now();
    bool was_lost = false;
    while (true) {
        if (std::optional<std::string> answer = exchange(request, start + patience)) {
            return std::move(*answer);
        }
        socket_.reset();
        if (!std::visit(IsRepeatable{}, method)) {
            throw Failure(kFailed, "failed",
                          "the daemon's supervisor went away before it answered; whether this was "
                          "done is not known",
                          "see how things stand: clusterctl status");
        }
        const Instant now = sys::monotonic_now();
        if (!is_reconnecting_ || !reconnect(now + kReconnectPatience) ||
            (was_lost && now >= start + patience)) {
            throw Failure(kNoDaemon, "no_daemon", "the daemon went away while it was asked",
                          "its own log says more: " + directories_.daemon_log());
        }
        // A supervisor that dies at each question is not asked in a tight loop.
        if (was_lost &&
            wait_for(-1, false, interrupt_, now + kReconnectPause) == Woken::interrupted) {
            throw Interrupted{};
        }
        was_lost = true;
    }
}

bool Client::reconnect(Instant deadline) {
    while (!try_connect()) {
        const Instant now = sys::monotonic_now();
        if (now >= deadline) return false;
        if (wait_for(-1, false, interrupt_, now + kReconnectPause) == Woken::interrupted) {
            throw Interrupted{};
        }
    }
    return true;
}

bool Client::send_all(std::string_view request, Instant deadline) {
    while (!request.empty()) {
        const Result<std::size_t> sent = sys::send_some(socket_.get(), request);
        if (sent) {
            request.remove_prefix(*sent);
        } else if (sent.error().code == EAGAIN) {
            const Woken woken = wait_for(socket_.get(), true, interrupt_, deadline);
            if (woken == Woken::interrupted) throw Interrupted{};
            if (woken == Woken::timed_out) return false;
        } else if (sent.error().code != EINTR) {
            return false;
        }
    }
    return true;
}

std::optional<std::string> Client::exchange(std::string_view request, Instant deadline) {
    if (!send_all(request, deadline)) return std::nullopt;
    ctl::LineBuffer lines(kMaxAnswerBytes);
    beside_.reset();
    std::array<std::byte, 64 * 1024> buffer;
    while (true) {
        const Result<std::size_t> size = sys::receive_some(socket_.get(), buffer, beside_);
        if (size && *size == 0) return std::nullopt;
        if (size) {
            const auto* bytes = reinterpret_cast<const char*>(buffer.data());
            if (!lines.append({bytes, *size})) return std::nullopt;
            if (std::optional<std::string> line = lines.take_line()) return line;
        } else if (size.error().code == EAGAIN) {
            const Woken woken = wait_for(socket_.get(), false, interrupt_, deadline);
            if (woken == Woken::interrupted) throw Interrupted{};
            if (woken == Woken::timed_out) {
                throw Failure(kFailed, "failed", "the daemon does not answer",
                              "its own log says more: " + directories_.daemon_log());
            }
        } else if (size.error().code != EINTR) {
            return std::nullopt;
        }
    }
}

}  // namespace cluster::clusterctl
