#include "supervisor/next_keeper.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>

#include "supervisor/log.hpp"
#include "sys/memory.hpp"
#include "sys/process.hpp"
#include "sys/socket.hpp"
#include "sys/succession.hpp"
#include "wire/estate.hpp"

namespace cluster::supervisor {
namespace {

using std::chrono::milliseconds;

/// As the keeper has it for a supervisor that dies.
constexpr std::array<milliseconds, 7> kDelays{
    milliseconds(0),   milliseconds(0),   milliseconds(100), milliseconds(200),
    milliseconds(400), milliseconds(800), milliseconds(1000)};

/// Waits until the new keeper says that it has taken over. Errors: {receive, ECONNRESET} it ended
/// before.
Status wait_for_word(int socket) {
    std::array<std::byte, sizeof(wire::Message)> buffer{};
    sys::Packet packet;
    if (auto ready = sys::wait_ready(socket, true, false); !ready) return ready;
    if (auto received = sys::receive_packet(socket, buffer, packet); !received) return received;
    if (packet.bytes == 0) return fail(Op::receive, ECONNRESET);
    const auto message = wire::decode(buffer.data(), packet.bytes, packet.fd_count);
    if (!message) return tl::unexpected(message.error());
    if (message->kind != wire::Kind::succeeded) return fail(Op::message, EPROTO);
    return {};
}

/// Whatever has become of it: it is of no use, and must not come to life later.
void bury(int keeper) {
    static_cast<void>(sys::signal_pidfd(keeper, SIGKILL));
    static_cast<void>(sys::wait_ready(keeper, true, false));
    static_cast<void>(sys::reap_any());
}

Status try_to_start(const KeeperLink& link, const std::string& program,
                    const std::vector<std::string>& arguments) {
    auto ends = sys::open_seqpacket_pair();
    if (!ends) return tl::unexpected(ends.error());
    wire::EstateBuilder estate;
    for (const Copies::Copy& copy : link.copies().all()) estate.add(copy.key, copy.fd.get());
    const auto& bytes = estate.finish(link.table_file(), ends->second.get());
    const auto file = sys::make_sealed_file("clusterd-estate", bytes);
    if (!file) return tl::unexpected(file.error());
    std::vector<int> inherited = estate.descriptors();
    inherited.push_back(file->get());
    std::vector<std::string> words{"clusterd", fmt::format("--estate-fd={}", file->get())};
    words.insert(words.end(), arguments.begin(), arguments.end());
    auto keeper = sys::start_heir(program, words, inherited);
    if (!keeper) return tl::unexpected(keeper.error());
    ends->second.reset();
    auto taken = wait_for_word(ends->first.get());
    if (!taken) bury(keeper->get());
    return taken;
}

}  // namespace

bool start_next_keeper(const KeeperLink& link, const std::vector<std::string>& arguments) {
    const std::string program = link.keeper_program();
    if (!link.copies().is_complete() || program.empty()) {
        log::error(
            "there is not everything that a new keeper would need: the workers go on alone, and "
            "nobody restarts them");
        return false;
    }
    sys::block_all_signals();  // as a spawn wants it; there is nothing that we would do about one
    for (std::size_t attempt = 0;; ++attempt) {
        sys::let_pass(kDelays[std::min(attempt, kDelays.size() - 1)]);
        const auto started = try_to_start(link, program, arguments);
        if (started) return true;
        log::error(fmt::format("a new keeper, {}, cannot be started: {}: {}", program,
                               op_name(started.error().op), std::strerror(started.error().code)));
        log::flush();
    }
}

}  // namespace cluster::supervisor
