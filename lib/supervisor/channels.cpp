#include "supervisor/channels.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "supervisor/log.hpp"
#include "supervisor/wording.hpp"
#include "sys/clock.hpp"
#include "sys/failpoint.hpp"
#include "sys/file.hpp"
#include "sys/recorded.hpp"

namespace cluster::supervisor {
namespace {

static_assert(offsetof(channel::CallRecord, bytes) - offsetof(channel::CallRecord, head) ==
              sys::kRecordedBytesAt);
static_assert(sizeof(channel::CallRecord) - offsetof(channel::CallRecord, head) ==
              sys::kRecordedCallBytes);

/// Of the socket, each way. Why: below it Node puts each message into its own queue, which costs it
/// half of its speed and memory without bound.
constexpr std::size_t kSocketBytes = std::size_t{1} << 20U;
/// Of one channel at a time: as much as a pipe gives, so that one that shouts delays nobody.
constexpr std::size_t kReadBytes = std::size_t{64} << 10U;
/// What a run has left in its socket; more than one can hold.
constexpr int kDrainReads = 256;
/// To one channel in one turn.
constexpr std::size_t kSendBytes = std::size_t{512} << 10U;
/// Memory that a channel keeps of each ring when it is empty.
constexpr std::uint64_t kKeptBytes = std::uint64_t{64} << 10U;
/// What is above it is given back so much later. Why: a stream uses all of its ring over and over,
/// and to give a page back and take it again costs as much as the messages in it.
constexpr Duration kTrimDelay = std::chrono::seconds{1};
/// So many lines at once that nobody hears of are a stream, and the next are waited for a moment.
/// Why: a worker that sends while the daemon sleeps has to wake it, which takes about as long as the
/// message itself; a daemon that is faster than the worker would be woken for each.
constexpr std::size_t kStreamLines = 8;
constexpr Duration kRest = std::chrono::microseconds{400};

std::string_view basename_of(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

}  // namespace

core::ChannelMode channel_mode(const core::Launch& launch) {
    if (launch.channel != core::ChannelMode::automatic) return launch.channel;
    if (launch.node.cluster) return core::ChannelMode::node;
    constexpr std::array<std::string_view, 3> kNode{"node", "nodejs", "bun"};
    const std::string_view program = basename_of(launch.command.front());
    const bool is_node = std::find(kNode.begin(), kNode.end(), program) != kNode.end();
    return is_node ? core::ChannelMode::node : core::ChannelMode::json;
}

// --- opening and closing

wire::HeldKey Channels::key_of(wire::HeldKind kind, Run run) {
    return {.kind = kind, .index = 0, .slot = run.slot.value, .generation = run.generation.value};
}

Status Channels::prepare(const core::Place& place, const core::WorkerSpec& spec,
                         Inheritance& inheritance) {
    const core::ChannelMode mode = channel_mode(spec.launch);
    if (mode == core::ChannelMode::off) return {};
    auto pair = sys::open_stream_pair(kSocketBytes);
    if (!pair) return tl::unexpected(pair.error());
    const Run run{place.slot, place.instance.generation};
    // It may be this very run, asked for once more after a takeover.
    if (Entry* const older = find(run)) close(older->run);
    keeper_.hold(key_of(wire::HeldKind::channel, run), pair->first.get());
    inheritance.set_channel(std::move(pair->second), mode == core::ChannelMode::node);
    add(place, run, std::move(pair->first));
    if (find(run)->ended.empty()) return {};
    close(run);
    return fail(Op::epoll, ENOMEM);
}

void Channels::add(const core::Place& place, Run run, sys::UniqueFd socket) {
    if (const auto other = entries_.find(run.slot); other != entries_.end()) {
        close(other->second.run);
    }
    const core::WorkerSpec& spec = fleet_.spec_of(place);
    Entry& entry = entries_[run.slot];
    entry.run = run;
    entry.socket = std::move(socket);
    entry.is_node = channel_mode(spec.launch) == core::ChannelMode::node;
    router_.add({.run = run,
                 .worker = spec.name,
                 .number = place.number,
                 .group = spec.group,
                 .is_node = entry.is_node,
                 .record = nullptr});
    if (auto watched = watch_socket(entry); !watched) end(entry, "it cannot be watched");
}

/// Before the first byte moves: a record without a socket is nothing, a socket that has moved bytes
/// without a record is a torn line.
bool Channels::open_memory(Entry& entry) {
    if (entry.opened != nullptr) return true;
    const channel::Sizes sizes{.max_line = spec_.max_line, .max_queue = spec_.max_queue};
    const auto size = static_cast<std::size_t>(channel::Memory::size_for(sizes));
    auto file = sys::open_memory_file("clusterd-channel", size);
    auto mapping = file ? sys::map_shared(file->get(), size, true)
                        : Result<sys::Mapping>{tl::unexpected(file.error())};
    if (!mapping) {
        log::error(fmt::format("{}: no memory for its channel: {}", name_of(entry.run),
                               std::strerror(mapping.error().code)));
        doomed_.push_back({entry.run, channel::CutOff::no_memory});
        return false;
    }
    const channel::Memory memory = channel::Memory::make({mapping->as<std::byte>(), size}, sizes);
    keeper_.hold(key_of(wire::HeldKind::channel_memory, entry.run), file->get());
    entry.opened = std::make_unique<Opened>(Opened{std::move(*file), std::move(*mapping), memory,
                                                   channel::Intake{memory},
                                                   channel::Outlet{memory, spec_.slow_reader}});
    router_.set_record(entry.run, memory.record());
    return true;
}

Status Channels::watch_socket(Entry& entry) {
    entry.interest = {.readable = !entry.is_resting, .writable = entry.wants_room};
    auto added = loop_.add(
        entry.socket.get(), entry.interest,
        [this, slot = entry.run.slot](const ev::Ready& ready) { on_ready_socket(slot, ready); });
    if (!added) return tl::unexpected(added.error());
    entry.watch = *added;
    return {};
}

void Channels::end(Entry& entry, std::string reason) {
    if (!entry.ended.empty()) return;
    entry.ended = std::move(reason);
    loop_.remove(std::exchange(entry.watch, {}));
    entry.socket.reset();
    keeper_.drop(key_of(wire::HeldKind::channel, entry.run));
    router_.remove(entry.run);
    if (peer_ != nullptr) peer_->on_channel_closed(entry.run);
}

/// Its worker may take this for the end of the daemon, so that a successor has to know of it.
void Channels::cut_off(Entry& entry, channel::CutOff why) {
    entry.is_cut_off = true;
    if (entry.opened != nullptr) {
        channel::publish(entry.opened->memory.record().cut_off, static_cast<std::uint32_t>(why));
    }
    sys::pass(Failpoint::channel_cut);
    end(entry, cut_off_text(why));
}

void Channels::close(Run run) {
    Entry* const entry = find(run);
    if (entry == nullptr) return;
    end(*entry, "the run is over");
    if (peer_ != nullptr) peer_->on_run_closed(run);
    if (entry->opened != nullptr) keeper_.drop(key_of(wire::HeldKind::channel_memory, run));
    entries_.erase(run.slot);
}

Result<sys::UniqueFd> Channels::renew(Run run) {
    const core::Place* const place = fleet_.find(run);
    if (place == nullptr) return fail(Op::socket, ENOENT);
    const core::Launch& launch = fleet_.spec_of(*place).launch;
    // A worker of a Node.js cluster ends with its channel.
    if (launch.node.cluster || channel_mode(launch) == core::ChannelMode::off) {
        return fail(Op::socket, ENOENT);
    }
    auto pair = sys::open_stream_pair(kSocketBytes);
    if (!pair) return tl::unexpected(pair.error());
    now_ = sys::monotonic_now();
    drain(run);
    std::optional<channel::Told> told;
    if (Entry* const older = find(run); older != nullptr && older->opened != nullptr) {
        older->opened->outlet.discard();
        told = channel::told_by(older->opened->memory.record());
    }
    close(run);
    keeper_.hold(key_of(wire::HeldKind::channel, run), pair->first.get());
    add(*place, run, std::move(pair->first));
    Entry& entry = *find(run);
    if (!entry.ended.empty()) return fail(Op::epoll, ENOMEM);
    if (told && open_memory(entry)) channel::tell(entry.opened->memory.record(), *told);
    return std::move(pair->second);
}

Channels::Entry* Channels::find(Run run) {
    const auto found = entries_.find(run.slot);
    return found != entries_.end() && found->second.run == run ? &found->second : nullptr;
}

// --- moving

void Channels::on_ready_socket(Slot slot, const ev::Ready& ready) {
    const auto found = entries_.find(slot);
    if (found == entries_.end() || !found->second.ended.empty()) return;
    Entry& entry = found->second;
    if (ready.writable) send(entry);
    if (ready.readable && entry.ended.empty()) static_cast<void>(read(entry));
}

/// For most workers the first that is heard of their channel is its end, which takes no memory.
bool Channels::has_spoken(Entry& entry) {
    const auto peeked = sys::peek_recorded(entry.socket.get());
    if (peeked && *peeked) return true;
    if (peeked) {
        end(entry, "the worker has closed it");
    } else if (peeked.error().code != EAGAIN) {
        end(entry, std::strerror(peeked.error().code));
    }
    return false;
}

/// False: there is nothing more to read now.
bool Channels::read(Entry& entry) {
    if (entry.opened == nullptr && !has_spoken(entry)) return false;
    if (!open_memory(entry)) return false;
    channel::Intake& intake = entry.opened->intake;
    channel::Record& record = entry.opened->memory.record();
    // The turn's own instant is that of the turn before while descriptors are read.
    now_ = sys::monotonic_now();
    const channel::Pieces room = intake.room(kReadBytes);
    const auto received = sys::receive_recorded(entry.socket.get(), record.receiving.head,
                                                room.first, room.second, record.counts.descriptors);
    if (!received && received.error().code == EAGAIN) return false;
    if (received && *received) {
        intake.on_received();
        const bool is_all = record.receiving.bytes < room.size();
        const std::size_t lines = apply_lines(entry);
        if (!entry.ended.empty()) return false;
        // Whoever was sent something may answer, and the answer is not to wait.
        if (lines >= kStreamLines && is_all && dirty_.empty()) rest(entry, kRest);
        return true;
    }
    intake.on_end();
    end(entry, received ? "the worker has closed it" : std::strerror(received.error().code));
    return false;
}

std::size_t Channels::apply_lines(Entry& entry) {
    const std::size_t count = router_.on_lines(entry.run, entry.opened->intake, now_);
    note_memory(entry);
    return count;
}

void Channels::rest(Entry& entry, Duration time) {
    rest(time);
    if (entry.is_resting) return;
    entry.is_resting = true;
    update_watch(entry);
    resting_.push_back(entry.run);
}

void Channels::rest(Run run, Duration time) {
    Entry* const entry = find(run);
    if (entry != nullptr && entry->ended.empty()) rest(*entry, time);
}

void Channels::rest(Duration time) {
    rest_until_ = earliest(rest_until_, sys::monotonic_now() + time);
}

/// Who rests again after that was not watched in between.
void Channels::end_rest() {
    rest_until_.reset();
    const std::vector<Run> rested = std::exchange(resting_, {});
    for (const Run run : rested) {
        Entry* const entry = find(run);
        if (entry == nullptr || !entry->is_resting) continue;
        entry->is_resting = false;
        if (entry->ended.empty()) static_cast<void>(read(*entry));
    }
    if (peer_ != nullptr) peer_->on_rested();
    for (const Run run : rested) {
        Entry* const entry = find(run);
        if (entry != nullptr && entry->ended.empty()) update_watch(*entry);
    }
}

void Channels::update_watch(Entry& entry) {
    const ev::Interest interest{.readable = !entry.is_resting, .writable = entry.wants_room};
    if (interest == entry.interest) return;
    if (loop_.modify(entry.watch, interest)) entry.interest = interest;
}

void Channels::note_memory(Entry& entry) {
    const std::uint64_t used =
        std::max(entry.opened->intake.high_water(), entry.opened->outlet.high_water());
    if (entry.is_wide || used <= kKeptBytes) return;
    entry.is_wide = true;
    wide_.push_back(entry.run);
    if (!trim_at_) trim_at_ = now_ + kTrimDelay;
}

void Channels::trim_wide() {
    trim_at_.reset();
    for (const Run run : std::exchange(wide_, {})) {
        Entry* const entry = find(run);
        if (entry == nullptr || !entry->is_wide) continue;
        // One that is not empty now is noted again when it next moves a byte.
        entry->is_wide = false;
        trim(*entry);
    }
}

/// Gives back what a long line or a flood has taken.
void Channels::trim(Entry& entry) {
    Opened& opened = *entry.opened;
    const channel::Record& record = opened.memory.record();
    const auto punch = [&](std::uint64_t ring, std::uint64_t size, std::uint64_t high) {
        if (high <= kKeptBytes || size <= kKeptBytes) return false;
        const auto punched =
            sys::punch_hole(opened.file.get(), ring + kKeptBytes, size - kKeptBytes);
        return punched.has_value();
    };
    const bool is_in_empty = opened.intake.is_empty();
    const std::uint64_t in = sizeof(channel::Record);
    if (is_in_empty && punch(in, record.in_bytes, opened.intake.high_water())) {
        opened.intake.forget_high_water();
    }
    if (opened.outlet.is_empty() &&
        punch(in + record.in_bytes, record.out_bytes, opened.outlet.high_water())) {
        opened.outlet.forget_high_water();
    }
}

bool Channels::deliver(Run to, std::string_view line) {
    Entry* const entry = find(to);
    if (entry == nullptr || !entry->ended.empty() || !open_memory(*entry)) return false;
    const auto pushed = entry->opened->outlet.push(line);
    if (pushed == channel::Outlet::Pushed::overflow) {
        doomed_.push_back({to, channel::CutOff::unread_messages});
        return false;
    }
    if (!entry->is_dirty && !entry->wants_room) {
        entry->is_dirty = true;
        dirty_.push_back(to);
    }
    return pushed != channel::Outlet::Pushed::refused;
}

void Channels::send(Entry& entry) {
    channel::Outlet& outlet = entry.opened->outlet;
    channel::Record& record = entry.opened->memory.record();
    const bool was_full = entry.wants_room;
    entry.wants_room = false;
    for (std::size_t sent = 0; !outlet.is_empty();) {
        const std::uint64_t number = outlet.next_descriptor();
        const int descriptor = number == 0 ? -1 : descriptor_of(number);
        if (number != 0 && descriptor < 0) {
            outlet.skip_chunk();
            continue;
        }
        const channel::Pieces chunk = outlet.next_chunk();
        const auto result = sys::send_recorded(entry.socket.get(), record.sending.head, chunk.first,
                                               chunk.second, descriptor);
        if (!result && result.error().code != EAGAIN) {
            // What it had sent before it closed its end is still to be read.
            break;
        }
        if (result) sent += record.sending.bytes;
        if (result) outlet.on_sent();
        if (!result || sent >= kSendBytes) {
            entry.wants_room = true;
            break;
        }
    }
    if (entry.wants_room != was_full) update_watch(entry);
    note_memory(entry);
}

void Channels::flush() {
    for (const Doomed& doomed : std::exchange(doomed_, {})) {
        Entry* const entry = find(doomed.run);
        if (entry == nullptr || !entry->ended.empty()) continue;
        log::warn(
            fmt::format("{}: its channel is closed: {}", name_of(doomed.run), cut_off_text(doomed.why)));
        cut_off(*entry, doomed.why);
    }
    for (const Run run : std::exchange(dirty_, {})) {
        Entry* const entry = find(run);
        if (entry == nullptr) continue;
        entry->is_dirty = false;
        if (entry->ended.empty()) send(*entry);
    }
}

void Channels::drain(Run run) {
    Entry* const entry = find(run);
    if (entry == nullptr) return;
    for (int i = 0; i < kDrainReads && entry->ended.empty() && read(*entry); ++i) {
    }
}

// --- time and life

void Channels::on_time(Instant now) {
    now_ = now;
    if (rest_until_ && *rest_until_ <= now) end_rest();
    if (trim_at_ && *trim_at_ <= now) trim_wide();
    router_.on_time(now);
    watch_.on_time(now);
    flush();
}

std::optional<Instant> Channels::next_deadline() const {
    // What was queued behind the last flush goes out at once.
    if (!dirty_.empty() || !doomed_.empty()) return Instant{};
    return earliest(earliest(rest_until_, trim_at_), router_.next_deadline());
}

void Channels::follow(const std::vector<Slot>& slots) {
    for (const Slot slot : slots) {
        const auto found = entries_.find(slot);
        if (found == entries_.end()) continue;
        const Run run = found->second.run;
        if (fleet_.find(run) == nullptr) close(run);
    }
}

void Channels::update_groups() {
    for (const auto& [slot, entry] : entries_) {
        const core::Place* place = fleet_.find(slot);
        if (place != nullptr)
            router_.set_group(entry.run, fleet_.worker(place->worker)->spec.group);
    }
}

bool Channels::send_shutdown(Run run) {
    Entry* const entry = find(run);
    if (entry == nullptr || !entry->ended.empty() || !open_memory(*entry)) return false;
    channel::Record& record = entry->opened->memory.record();
    if (record.told_shutdown != 0) return true;
    if (!deliver(run, channel::shutdown_line())) return false;
    channel::publish(record.told_shutdown, 1);
    return true;
}

std::optional<Channels::Facts> Channels::facts(Run run) const {
    const auto found = entries_.find(run.slot);
    if (found == entries_.end() || found->second.run != run) return std::nullopt;
    const Entry& entry = found->second;
    Facts facts{.is_node = entry.is_node,
                .state = entry.ended.empty() ? "open" : entry.ended,
                .is_cut_off = entry.is_cut_off,
                .record = nullptr,
                .queued_bytes = 0};
    if (entry.opened != nullptr) {
        facts.record = &entry.opened->memory.record();
        facts.queued_bytes = facts.record->out_queued - facts.record->out_sent;
    }
    return facts;
}

}  // namespace cluster::supervisor
