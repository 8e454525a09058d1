#include "supervisor/next_keeper.hpp"

#include <fmt/core.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/retry.hpp"
#include "supervisor/log.hpp"
#include "sys/memory.hpp"
#include "sys/packet_socket.hpp"
#include "sys/process.hpp"
#include "sys/socket.hpp"
#include "sys/succession.hpp"
#include "wire/estate.hpp"

namespace cluster::supervisor {
namespace {

/// What the new keeper has said by now. Errors: {receive, EAGAIN} nothing; {receive, ECONNRESET} it
/// is gone.
Status read_word(int socket) {
    std::array<std::byte, sizeof(wire::Message)> buffer{};
    sys::Packet packet;
    if (auto received = sys::receive_packet(socket, buffer, packet); !received) return received;
    if (packet.bytes == 0) return fail(Op::receive, ECONNRESET);
    const auto message = wire::decode(buffer.data(), packet.bytes, packet.fd_count);
    if (!message) return tl::unexpected(message.error());
    if (message->kind != wire::Kind::succeeded) return fail(Op::message, EPROTO);
    return {};
}

/// Waits until a supervisor of the new keeper has everything in hand. What does not come to that is
/// ended, and must not come to life later; its last word counts. Errors: as read_word.
Status wait_for_word(int socket, int keeper) {
    static_cast<void>(sys::wait_readable(socket, kSuccessionPatience));
    const auto word = read_word(socket);
    if (word) return word;
    static_cast<void>(sys::signal_pidfd(keeper, SIGKILL));
    static_cast<void>(sys::wait_ready(keeper, true, false));
    static_cast<void>(sys::reap_any());
    return read_word(socket) ? Status{} : word;
}

Status try_to_start(const KeeperLink& link, const std::string& program,
                    const std::vector<std::string>& arguments) {
    auto ends = sys::open_seqpacket_pair();
    if (!ends) return tl::unexpected(ends.error());
    wire::EstateBuilder estate;
    for (const Copies::Copy& copy : link.copies().all()) {
        if (copy.fd.is_open()) estate.add(copy.key, copy.fd.get());
    }
    const auto file = sys::make_sealed_file(
        "clusterd-estate", estate.finish(link.table_file(), ends->second.get()));
    if (!file) return tl::unexpected(file.error());
    std::vector<int> inherited = estate.descriptors();
    inherited.push_back(file->get());
    std::vector<std::string> words{"clusterd", fmt::format("--estate-fd={}", file->get())};
    words.insert(words.end(), arguments.begin(), arguments.end());
    auto keeper = sys::start_heir(program, words, inherited);
    if (!keeper) return tl::unexpected(keeper.error());
    ends->second.reset();
    return wait_for_word(ends->first.get(), keeper->get());
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
        sys::let_pass(retry_delay(attempt));
        const auto started = try_to_start(link, program, arguments);
        if (started) return true;
        log::error(fmt::format("a new keeper ({}) did not take over: {}: {}", program,
                               op_name(started.error().op), std::strerror(started.error().code)));
        log::flush();
    }
}

}  // namespace cluster::supervisor
