// Connections on the control socket: who may talk, how much, and how fast. What the lines mean is
// Requests' matter.
//
// A client costs only itself: it is read in bounded pieces, its line and its unread answers are
// bounded, and when there are too many clients the one that has been silent longest (and waits for
// nothing) goes first. Peers other than our own user and root are refused.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "ctl/line_buffer.hpp"
#include "ctl/protocol.hpp"
#include "ev/loop.hpp"
#include "sys/fd.hpp"
#include "sys/socket.hpp"

namespace cluster::supervisor {

using ClientId = Id<struct ClientTag, std::uint64_t>;

struct ClientRequest {
    ClientId client;
    sys::PeerCredentials peer;  // who asks; the pid as of the connection
    ctl::Request request;
};

class ControlServer {
public:
    static constexpr std::size_t kMaxClients = 256;
    static constexpr std::size_t kReadPerTurn = std::size_t{64} << 10U;
    /// Twice the largest answer that a full daemon gives (status of 8,192 instances); more unread
    /// than that is a client that does not read.
    static constexpr std::size_t kMaxUnsentBytes = std::size_t{16} << 20U;
    /// A client that asks faster than it can be answered is not read meanwhile.
    static constexpr std::uint32_t kMaxUnanswered = 16;
    /// Descriptors that clients must leave to the workers.
    static constexpr int kSpareDescriptors = 32;
    /// When descriptors or memory have run out, accepting is tried again after this long.
    static constexpr Duration kAcceptRetry = std::chrono::milliseconds{100};

    ControlServer(ev::Loop& loop, sys::UniqueFd listener, std::uint32_t own_uid);

    /// Begins to accept. Errors: {epoll, …}.
    [[nodiscard]] Status listen();

    /// At most one request of each client, so that one that pipelines thousands delays nobody;
    /// refused lines have been answered already. More may be left: next_deadline() then asks for
    /// the next turn at once.
    [[nodiscard]] std::vector<ClientRequest> take_requests();
    /// The one answer to one request: queues a line, and sends what the socket takes at once. An
    /// unknown client is ignored.
    /// `descriptor`, if open, goes with the first byte of the line.
    void answer(ClientId client, std::string_view line, sys::UniqueFd descriptor = {});
    /// Clients that went away since the last call.
    [[nodiscard]] std::vector<ClientId> take_gone();
    /// True when the last client has gone since the last call.
    [[nodiscard]] bool take_emptied() { return std::exchange(is_emptied_, false); }

    /// Once a turn.
    void on_time(Instant now);
    [[nodiscard]] std::optional<Instant> next_deadline() const;

private:
    struct Client {
        sys::UniqueFd socket;
        sys::PeerCredentials peer{};
        ev::Watch watch;
        ctl::LineBuffer lines{ctl::kMaxLineBytes};
        std::string unsent;
        struct Beside {
            std::size_t at = 0;  // the byte of `unsent` that it goes with
            sys::UniqueFd descriptor;
        };
        std::deque<Beside> beside;  // in order
        bool has_lines = false;     // perhaps: complete lines that were not taken yet
        bool is_read = true;        // what epoll was told last
        bool is_written = false;
        std::uint64_t last_active = 0;  // turn counter
        std::uint32_t unanswered =
            0;  // requests; while there are any, silence is no reason to send it away
        bool is_closing =
            false;  // sends no more requests (or may not); gets its answers, then the end
    };

    void accept_all();
    void admit(sys::UniqueFd socket);
    [[nodiscard]] bool evict_silent();
    void on_ready(ClientId id, const ev::Ready& ready);
    void read_from(ClientId id, Client& client);
    void take_line(ClientId id, Client& client);
    void watch_as_needed(ClientId id, Client& client);
    void refuse(ClientId id, Client& client, const ctl::BadRequest& bad);
    void flush(ClientId id, Client& client);
    [[nodiscard]] static Result<std::size_t> send_next(Client& client, std::size_t sent);
    void close(ClientId id);

    ev::Loop& loop_;
    sys::UniqueFd listener_;
    ev::Watch listener_watch_;
    std::uint32_t own_uid_;
    int descriptor_limit_;
    std::map<ClientId, Client> clients_;
    std::vector<ClientRequest> requests_;
    std::vector<ClientId> gone_;
    std::vector<ClientId>
        doomed_;  // closed at the end of the turn, when nobody holds a reference to them
    std::uint64_t next_id_ = 1;
    std::uint64_t turn_ = 0;
    bool is_emptied_ = false;
    bool is_short_of_descriptors_ = false;
    std::optional<Instant> accept_again_at_;
};

}  // namespace cluster::supervisor
