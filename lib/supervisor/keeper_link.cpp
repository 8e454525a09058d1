#include "supervisor/keeper_link.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <string>
#include <utility>

#include "sys/clock.hpp"
#include "sys/file.hpp"
#include "sys/packet_socket.hpp"
#include "sys/process.hpp"
#include "sys/socket.hpp"
#include "sys/succession.hpp"

namespace cluster::supervisor {
namespace {

std::span<const std::byte> bytes_of(const wire::Message& message) {
    return std::as_bytes(std::span{&message, 1});
}

wire::Hello own_hello() {
    wire::Hello hello{};
    hello.message_bytes = sizeof(wire::Message);
    hello.slot_record_bytes = sizeof(wire::SlotRecord);
    hello.held_record_bytes = sizeof(wire::HeldRecord);
    hello.max_slots = wire::kMaxSlots;
    hello.max_held = wire::kMaxHeld;
    hello.batches = 1;
    return hello;
}

bool has_our_sizes(const wire::Hello& hello) {
    const wire::Hello ours = own_hello();
    return hello.message_bytes == ours.message_bytes &&
           hello.slot_record_bytes == ours.slot_record_bytes &&
           hello.held_record_bytes == ours.held_record_bytes && hello.max_slots == ours.max_slots &&
           hello.max_held == ours.max_held;
}

/// One datagram from the keeper. Errors: {receive, EAGAIN} nothing there; {receive, ECONNRESET} it
/// is gone; {message, …}.
Result<KeeperMessage> receive_message(int socket) {
    std::array<std::byte, sizeof(wire::Message) + 1> buffer{};
    sys::Packet packet;
    if (auto received = sys::receive_packet(socket, buffer, packet); !received) {
        return tl::unexpected(received.error());
    }
    if (packet.bytes == 0) return fail(Op::receive, ECONNRESET);
    if (packet.is_truncated) return fail(Op::message, EPROTO);
    const auto message = wire::decode(buffer.data(), packet.bytes, packet.fd_count);
    if (!message) return tl::unexpected(message.error());
    KeeperMessage result{.message = *message, .fds = {}};
    for (std::size_t i = 0; i < packet.fd_count; ++i)
        result.fds.push_back(std::move(packet.fds[i]));
    return result;
}

Result<KeeperMessage> wait_for_message(int socket) {
    while (true) {
        auto message = receive_message(socket);
        if (message || message.error().code != EAGAIN) return message;
        if (auto ready = sys::wait_ready(socket, true, false); !ready)
            return tl::unexpected(ready.error());
    }
}

}  // namespace

KeeperLink::KeeperLink(sys::UniqueFd socket, sys::UniqueFd table_file, sys::Mapping mapping,
                       const wire::Hello& hello)
    : socket_(std::move(socket)),
      table_file_(std::move(table_file)),
      mapping_(std::move(mapping)),
      copies_(sys::raise_descriptor_limit()),
      hello_(hello) {
    look_at_keeper();
}

Result<KeeperLink> KeeperLink::open(sys::UniqueFd socket) {
    // It came to us through exec, and is nothing for a new keeper that we may start.
    if (auto kept = sys::set_inherited(socket.get(), false); !kept) {
        return tl::unexpected(kept.error());
    }
    wire::Message ours = wire::make_message(wire::Kind::hello);
    ours.payload.hello = own_hello();
    if (auto sent = sys::send_packet(socket.get(), bytes_of(ours), {}); !sent) {
        return tl::unexpected(sent.error());
    }
    auto theirs = wait_for_message(socket.get());
    if (!theirs) return tl::unexpected(theirs.error());
    const wire::Hello& hello = theirs->message.payload.hello;
    if (theirs->message.kind != wire::Kind::hello || theirs->fds.size() != 1 ||
        !has_our_sizes(hello)) {
        return fail(Op::message, EPROTO);
    }
    auto mapping = sys::map_shared(theirs->fds.front().get(), sizeof(wire::Table), false);
    if (!mapping) return tl::unexpected(mapping.error());
    const wire::TableHeader& header = mapping->as<const wire::Table>()->header;
    if (header.magic != wire::kTableMagic || header.version != wire::kTableVersion) {
        return fail(Op::message, EPROTO);
    }
    return KeeperLink{std::move(socket), std::move(theirs->fds.front()), std::move(*mapping), hello};
}

/// Both are for the day on which it is dead, when its number means nothing any more.
void KeeperLink::look_at_keeper() {
    const std::int32_t pid = table().header.keeper_pid;
    if (auto opened = sys::open_pidfd(pid)) keeper_ = std::move(*opened);
    auto program = sys::open_file("/proc/" + std::to_string(pid) + "/exe", O_PATH);
    if (program) program_ = std::move(*program);
}

bool KeeperLink::is_keeper_dead() const {
    // Its descriptors are closed before it counts as dead.
    constexpr Duration kPatience = std::chrono::seconds(30);
    return !keeper_.is_open() || sys::wait_readable(keeper_.get(), kPatience).has_value();
}

std::string KeeperLink::keeper_program() const {
    if (!program_.is_open()) return {};
    const std::string by_number = "/proc/self/fd/" + std::to_string(program_.get());
    const auto path = sys::read_link(by_number);
    if (path && sys::is_same_file(*path, program_.get())) return *path;
    return by_number;
}

/// Of the runs that a predecessor of ours has seen begin. One that the keeper adopted may be over
/// already, and its number somebody else's: the time at which it was made tells.
void KeeperLink::copy_pidfds() {
    const std::uint32_t used = std::min(table().header.slots_used, wire::kMaxSlots);
    for (std::uint32_t i = 0; i < used; ++i) {
        const auto record = slot(Slot{i});
        if (!record || record->state != wire::SlotState::running) continue;
        auto pidfd = sys::open_pidfd(record->pid);
        const bool is_it = sys::process_start_ticks(record->pid).value_or(0) == record->start_ticks;
        if (!pidfd || !is_it) continue;
        copies_.take(process_key({Slot{i}, Generation{record->generation}}), std::move(*pidfd));
    }
}

Result<std::vector<HeldDescriptor>> KeeperLink::fetch_held() {
    std::vector<HeldDescriptor> held;
    std::uint32_t first = 0;
    while (true) {
        wire::Message request = wire::make_message(wire::Kind::fetch);
        request.payload.fetch = {.first = first, .count = 0};
        send(request, {});
        auto answer = wait_for_message(socket_.get());
        while (answer && answer->message.kind != wire::Kind::held) {
            inbox_.push_back(std::move(*answer));
            answer = wait_for_message(socket_.get());
        }
        if (!answer) return tl::unexpected(answer.error());
        const wire::Fetch& range = answer->message.payload.fetch;
        if (range.count == 0) break;
        if (range.first != first || range.count > wire::kMaxHeld - first)
            return fail(Op::message, EPROTO);
        std::size_t next = 0;
        for (std::uint32_t i = first; i < first + range.count; ++i) {
            const wire::HeldRecord& record = table().held[i];
            if (record.kind == 0) continue;
            if (next == answer->fds.size()) return fail(Op::message, EPROTO);
            held.push_back({.key = {.kind = static_cast<wire::HeldKind>(record.kind),
                                    .index = record.index,
                                    .slot = record.slot,
                                    .generation = record.generation},
                            .fd = std::move(answer->fds[next++])});
        }
        first += range.count;
    }
    for (const HeldDescriptor& item : held) copies_.keep(item.key, item.fd.get());
    copy_pidfds();
    return held;
}

void KeeperLink::send(wire::Message message, std::span<const int> fds) {
    flush();
    send_now(message, fds);
}

void KeeperLink::flush() {
    if (!gathered_) return;
    const wire::Message message = *gathered_;
    gathered_.reset();
    send_now(message, {});
}

void KeeperLink::gather(const wire::Message& message) {
    if (join(message)) return;
    flush();
    gathered_ = message;
    gathered_more_ = 0;
}

/// True: it went into what is gathered already.
bool KeeperLink::join(const wire::Message& message) {
    if (!gathered_ || gathered_->kind != message.kind || hello_.batches == 0) return false;
    wire::Payload& payload = gathered_->payload;
    std::span<wire::FurtherRun> further;
    if (message.kind == wire::Kind::drop) {
        const std::span keys(payload.drop.keys);
        if (gathered_more_ + 1 == keys.size()) return false;
        keys[++gathered_more_] = message.payload.drop.keys[0];
        return true;
    }
    if (message.kind == wire::Kind::signal) {
        const wire::Signal& ours = payload.signal;
        const wire::Signal& theirs = message.payload.signal;
        const bool is_same = ours.signal == theirs.signal && ours.to_leader == theirs.to_leader &&
                             ours.then_continue == theirs.then_continue;
        if (!is_same) return false;
        further = payload.signal.further;
    } else {
        further = payload.release.further;
    }
    if (gathered_more_ == further.size()) return false;
    further[gathered_more_++] = {
        .slot = message.slot, .reserved = 0, .generation = message.generation};
    return true;
}

void KeeperLink::send_now(wire::Message message, std::span<const int> fds) {
    message.sequence = ++sequence_;
    message.fd_count = static_cast<std::uint32_t>(fds.size());
    while (!is_broken_) {
        const auto sent = sys::send_packet(socket_.get(), bytes_of(message), fds);
        if (sent) return;
        if (sent.error().code != EAGAIN && sent.error().code != ETOOMANYREFS) {
            is_broken_ = true;
            return;
        }
        wait_for_room();
    }
}

void KeeperLink::wait_for_room() {
    const auto ready = sys::wait_ready(socket_.get(), true, true);
    if (!ready || !receive()) is_broken_ = true;
}

void KeeperLink::spawn(Run run, Epoch epoch, int plan, std::span<const int> fds) {
    wire::Message message = wire::make_message(wire::Kind::spawn, run);
    message.payload.spawn.epoch = epoch.value;
    std::vector<int> attached{plan};
    attached.insert(attached.end(), fds.begin(), fds.end());
    send(message, attached);
}

void KeeperLink::signal(Run run, int signal, bool then_continue) {
    wire::Message message = wire::make_message(wire::Kind::signal, run);
    message.payload.signal.signal = signal;
    message.payload.signal.then_continue = then_continue ? 1U : 0U;
    gather(message);
}

void KeeperLink::signal_leader(Run run, int signal) {
    wire::Message message = wire::make_message(wire::Kind::signal, run);
    message.payload.signal.signal = signal;
    message.payload.signal.to_leader = 1;
    gather(message);
}

void KeeperLink::release(Run run) {
    copies_.drop(process_key(run));
    gather(wire::make_message(wire::Kind::release, run));
}

void KeeperLink::hold(const wire::HeldKey& key, int fd) {
    wire::Message message = wire::make_message(wire::Kind::hold);
    message.payload.hold.key = key;
    copies_.keep(key, fd);
    send(message, std::span{&fd, 1});
}

void KeeperLink::drop(const wire::HeldKey& key) {
    copies_.drop(key);
    wire::Message message = wire::make_message(wire::Kind::drop);
    message.payload.drop.keys[0] = key;
    gather(message);
}

void KeeperLink::finish(int code) {
    wire::Message message = wire::make_message(wire::Kind::finish);
    message.payload.finish = {.code = code, .reserved = 0};
    send(message, {});
}

Status KeeperLink::upgrade(const std::string& program) {
    const auto file = sys::make_sealed_file("clusterd-program", program);
    if (!file) return tl::unexpected(file.error());
    const int fd = file->get();
    send(wire::make_message(wire::Kind::upgrade), std::span{&fd, 1});
    const std::uint64_t request = sequence_;
    const Instant deadline = sys::monotonic_now() + kSuccessionPatience;
    bool is_killed = false;
    bool has_failed = false;
    while (true) {
        auto answer = receive_one();
        if (!answer && answer.error().code == EAGAIN) {
            if (is_killed) {
                static_cast<void>(sys::wait_ready(socket_.get(), true, false));
            } else if (!sys::wait_readable(socket_.get(), deadline - sys::monotonic_now())) {
                // It executes something, and nothing comes of it. Its death ends the link.
                static_cast<void>(sys::signal_pidfd(keeper_.get(), SIGKILL));
                is_killed = true;
            }
            continue;
        }
        if (!answer) {
            // What a dead keeper had said may stand behind the first error.
            if (!std::exchange(has_failed, true)) continue;
            is_broken_ = true;
            return tl::unexpected(answer.error());
        }
        const wire::Message& message = answer->message;
        if (message.kind == wire::Kind::succeeded) return {};
        const wire::Refused& refused = message.payload.refused;
        if (message.kind == wire::Kind::refused && refused.sequence == request) {
            return fail(static_cast<Op>(refused.op), refused.code);
        }
        inbox_.push_back(std::move(*answer));
    }
}

/// A pidfd that comes along is kept for the keeper's successor; nobody else here needs it.
Result<KeeperMessage> KeeperLink::receive_one() {
    auto message = receive_message(socket_.get());
    if (!message || message->message.kind != wire::Kind::spawned || message->fds.empty()) {
        return message;
    }
    const Run run{Slot{message->message.slot}, Generation{message->message.generation}};
    copies_.take(process_key(run), std::move(message->fds.front()));
    message->fds.clear();
    return message;
}

bool KeeperLink::receive() {
    while (!is_broken_) {
        auto message = receive_one();
        if (!message && message.error().code == EAGAIN) return true;
        if (!message) is_broken_ = true;
        if (message) inbox_.push_back(std::move(*message));
    }
    return false;
}

std::optional<KeeperMessage> KeeperLink::take_message() {
    if (inbox_.empty()) return std::nullopt;
    KeeperMessage message = std::move(inbox_.front());
    inbox_.pop_front();
    return message;
}

std::optional<wire::SlotRecord> KeeperLink::slot(Slot slot) const {
    if (slot.value >= wire::kMaxSlots) return std::nullopt;
    wire::SlotRecord record{};
    if (!wire::read_slot(table().slots[slot.value], record)) return std::nullopt;
    return record;
}

}  // namespace cluster::supervisor
