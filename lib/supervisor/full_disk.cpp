// Outputs whose log takes nothing: the disk is full, or fails. The worker goes on all the same.
#include <fmt/core.h>

#include <cstring>
#include <utility>

#include "supervisor/log.hpp"
#include "supervisor/outputs.hpp"
#include "sys/file.hpp"

namespace cluster::supervisor {
namespace {

std::string reason_of(const capture::Pump& pump) {
    return std::strerror(pump.last_error().code);
}

}  // namespace

void Outputs::begin_waiting(const Key& key, Entry& entry) {
    log::warn(fmt::format("{}: {}; output waits in the pipe, and is thrown away when that is full",
                          entry.pump.path(), reason_of(entry.pump)));
    loop_.remove(std::exchange(entry.watch, {}));
    partials_.erase(key);
    entry.flow = Flow::waits;
    entry.blocked_since.reset();
    ++blocked_;
}

void Outputs::retry(const Key& key, Entry& entry, Instant now) {
    if (!entry.blocked_since) entry.blocked_since = now;
    const std::uint64_t lost = entry.lost_bytes;
    const auto result = note_loss(entry) ? pump(entry, kBudgetPerTurn) : capture::Pumped::blocked;
    if (result != capture::Pumped::blocked) {
        if (result != capture::Pumped::ended && !entry.watch.is_set() && !watch(key, entry)) return;
        log::info(lost == 0 ? fmt::format("{}: takes output again", entry.pump.path())
                            : fmt::format("{}: takes output again; {} bytes were lost",
                                          entry.pump.path(), lost));
        entry.flow = Flow::runs;
        entry.blocked_since.reset();
        --blocked_;
        if (entry.is_stale && result != capture::Pumped::ended) retarget(key, entry);
        return act_on(key, entry, result);
    }
    if (entry.is_over && now - *entry.blocked_since >= kLastPatience) {
        // Nobody is held up, but pipes of runs that are over must not gather.
        return discard(key, entry, entry.pump.drain_budget());
    }
    const auto waiting = sys::bytes_in_pipe(entry.pump.pipe());
    // A worker that has half of it left is not held up before we look again.
    const bool is_filling = !waiting || *waiting >= sys::pipe_capacity(entry.pump.pipe()) / 2;
    if (entry.flow == Flow::discards || !is_filling || !watch(key, entry)) return;
    entry.flow = Flow::discards;
    log::error(
        fmt::format("{}: {}; output is thrown away", entry.pump.path(), reason_of(entry.pump)));
}

void Outputs::discard(const Key& key, Entry& entry, std::size_t budget) {
    while (budget > 0) {
        const auto thrown = entry.pump.discard(budget);
        if (!thrown && thrown.error().code == EAGAIN) return;
        if (!thrown || *thrown == 0) {
            if (entry.lost_bytes > 0) {
                log::error(fmt::format("{}: {} bytes were lost at its end", entry.pump.path(),
                                       entry.lost_bytes));
            }
            return remove(key);
        }
        entry.lost_bytes += *thrown;
        entry.all_lost_bytes += *thrown;
        budget -= std::min(budget, *thrown);
    }
}

/// Says in the log what is missing in it. False when not even that can be written.
bool Outputs::note_loss(Entry& entry) {
    if (entry.lost_bytes == 0) return true;
    const std::string note = fmt::format("[clusterd: {} bytes of output are missing here: {}]\n",
                                         entry.lost_bytes, reason_of(entry.pump));
    if (!entry.pump.log().append_line(note)) return false;
    entry.lost_bytes = 0;
    return true;
}

LogTrouble Outputs::trouble_of(Run run) const {
    LogTrouble trouble;
    for (const Stream stream : {Stream::output, Stream::error_output}) {
        const auto found = entries_.find({run, stream});
        if (found == entries_.end()) continue;
        const Entry& entry = found->second;
        trouble.lost_bytes += entry.all_lost_bytes;
        if (entry.flow != Flow::runs) trouble.problem = reason_of(entry.pump);
    }
    return trouble;
}

}  // namespace cluster::supervisor
