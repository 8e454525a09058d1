// What the router of the messages asks of the shell, and lines of Node.js' own.

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/selector.hpp"
#include "supervisor/channels.hpp"
#include "supervisor/log.hpp"

namespace cluster::supervisor {
namespace {

constexpr std::size_t kMaxLogged = 1024;

}  // namespace

std::string Channels::name_of(Run run) const {
    const core::Place* place = fleet_.find(run.slot);
    if (place == nullptr) return fmt::format("slot {}", run.slot.value);
    return core::instance_id(fleet_.worker(place->worker)->spec.name, place->number);
}

void Channels::on_ready(Run run) {
    Entry* const entry = find(run);
    if (entry == nullptr || entry->opened == nullptr) return;
    channel::publish(entry->opened->memory.record().said_ready, 1);
    ready_.push_back(run);
}

void Channels::on_status(Run run, std::string_view text) {
    Entry* const entry = find(run);
    if (entry == nullptr || entry->opened == nullptr) return;
    channel::Record& record = entry->opened->memory.record();
    channel::publish(record.status_size, 0);
    std::size_t size = 0;
    while (size < text.size()) {
        const std::size_t length =
            std::max<std::size_t>(1, channel::utf8_length(text.substr(size)));
        if (size + length > channel::kMaxStatusText) break;
        const bool is_control = static_cast<unsigned char>(text[size]) < 0x20 || text[size] == 0x7F;
        std::memcpy(record.status + size, is_control ? " " : text.data() + size, length);
        size += length;
    }
    channel::publish(record.status_size, static_cast<std::uint32_t>(size));
}

void Channels::on_heartbeat(Run run) {
    Entry* const entry = find(run);
    if (entry == nullptr || entry->opened == nullptr) return;
    entry->opened->memory.record().heartbeat_ns = to_ns(now_);
}

// --- Node.js' own

void Channels::on_internal(Run run, std::string_view line) {
    if (peer_ == nullptr || peer_->on_node_message(run, line, now_)) return;
    if (channel::Record* const record = record_of(run)) ++record->counts.malformed;
}

int Channels::descriptor_of(std::uint64_t number) const {
    return peer_ == nullptr ? -1 : peer_->descriptor_of(number);
}

channel::Record* Channels::record_of(Run run) {
    Entry* const entry = find(run);
    const bool is_there = entry != nullptr && entry->ended.empty() && entry->opened != nullptr;
    return is_there ? &entry->opened->memory.record() : nullptr;
}

bool Channels::is_open(Run run) {
    const Entry* const entry = find(run);
    return entry != nullptr && entry->ended.empty();
}

/// These lines are never dropped to make room, so one who asks and does not read is cut off before
/// they are all that there is.
bool Channels::send_internal(Run run, std::string_view line, std::uint64_t descriptor) {
    Entry* const entry = find(run);
    if (entry == nullptr || !entry->ended.empty() || !open_memory(*entry)) return false;
    const channel::Record& record = entry->opened->memory.record();
    const bool is_crowded =
        record.out_queued - record.out_sent + line.size() > record.out_bytes / 2;
    using Pushed = channel::Outlet::Pushed;
    const auto pushed =
        is_crowded ? Pushed::overflow : entry->opened->outlet.push(line, descriptor);
    if (pushed == Pushed::overflow || pushed == Pushed::refused) {
        doomed_.push_back({run, channel::CutOff::unread_answers});
        return false;
    }
    if (!entry->is_dirty && !entry->wants_room) {
        entry->is_dirty = true;
        dirty_.push_back(run);
    }
    return true;
}

bool Channels::send_now(Run run, std::string_view line, std::uint64_t descriptor) {
    Entry* const entry = find(run);
    const bool is_ready = entry != nullptr && entry->ended.empty() && entry->opened != nullptr &&
                          !entry->wants_room;
    if (!is_ready) return false;
    channel::Outlet& outlet = entry->opened->outlet;
    if (!outlet.is_empty()) send(*entry);
    if (!outlet.is_empty()) return false;
    if (outlet.push(line, descriptor) != channel::Outlet::Pushed::queued) return false;
    send(*entry);
    return true;
}

// --- the router's

void Channels::on_logged(Run run, std::string_view message) {
    const bool is_cut = message.size() > kMaxLogged;
    log::info(fmt::format("{}: message: {}{}", name_of(run), message.substr(0, kMaxLogged),
                          is_cut ? "…" : ""));
}

void Channels::on_rule_failed(Run run, std::size_t rule, std::string_view reason) {
    log::warn(
        fmt::format("{}: [[channel.rule]] number {} cannot be applied: {}; not said again "
                    "for this worker",
                    name_of(run), rule + 1, reason));
}

channel::StoreDoor* Channels::store_of(Run run) {
    return store_of_(run);
}

}  // namespace cluster::supervisor
