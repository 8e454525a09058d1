#include "supervisor/store_doors.hpp"

#include <fmt/core.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include "store/attempt.hpp"
#include "store/counters.hpp"
#include "store/participant.hpp"
#include "store/segment.hpp"
#include "store/table.hpp"
#include "supervisor/log.hpp"
#include "sys/failpoint.hpp"

namespace cluster::supervisor {
namespace {

/// Values of more bytes take a second look into the table.
constexpr std::size_t kFirstBytes = 4096;

store::Bytes bytes_of(std::string_view text) {
    return std::as_bytes(std::span{text.data(), text.size()});
}

store::Buffer buffer_of(std::string& text) {
    return std::as_writable_bytes(std::span{text.data(), text.size()});
}

}  // namespace

class StoreDoors::Door final : public channel::StoreDoor {
public:
    [[nodiscard]] static Result<std::unique_ptr<Door>> open(int fd) {
        auto segment = store::Segment::attach(fd, store::Access::read_write);
        if (!segment) return tl::unexpected(segment.error());
        auto door = std::unique_ptr<Door>{new Door{std::move(*segment)}};
        auto joined = store::Participant::join(door->segment_);
        if (!joined) return tl::unexpected(joined.error());
        door->me_.emplace(std::move(*joined));
        return door;
    }

    Result<Found> get(std::string_view key) override {
        std::string value(kFirstBytes, '\0');
        // It may grow between two looks, but not above the largest.
        for (;;) {
            const auto found = table_.get(bytes_of(key), buffer_of(value));
            if (!found) return tl::unexpected(found.error());
            const bool is_whole = found->fits(value.size());
            value.resize(found->size);
            if (is_whole) return Found{std::move(value), found->token};
        }
    }

    Result<std::uint64_t> set(std::string_view key, std::string_view value, Duration ttl) override {
        return table_.set(*me_, bytes_of(key), bytes_of(value), ttl);
    }

    Result<std::uint64_t> compare_and_set(std::string_view key, std::optional<std::uint64_t> token,
                                          std::string_view value, Duration ttl) override {
        if (!token) return table_.add(*me_, bytes_of(key), bytes_of(value), ttl);
        return table_.compare_and_set(*me_, bytes_of(key), *token, bytes_of(value), ttl);
    }

    Status remove(std::string_view key) override { return table_.remove(*me_, bytes_of(key)); }

    Result<std::int64_t> increment(std::string_view key, std::int64_t by) override {
        return table_.increment(*me_, bytes_of(key), by);
    }

    Result<std::int64_t> increment(std::string_view key, std::int64_t by,
                                   channel::StoreAttempt& words) override {
        store::Attempt attempt{words};
        sys::pass(Failpoint::sum_begun);
        auto number = table_.increment(*me_, bytes_of(key), by, attempt);
        sys::pass(Failpoint::sum_stored);
        return number;
    }

    bool may_have_made(channel::StoreAttempt& words) override {
        return store::Attempt{words}.outcome(segment_) != store::Attempt::Outcome::not_made;
    }

    Result<std::int64_t> count(std::string_view name, std::int64_t by) override {
        const auto counter = store::Counters{segment_}.open(*me_, name);
        if (!counter) return tl::unexpected(counter.error());
        return by == 0 ? counter->get() : counter->add(by);
    }

private:
    explicit Door(store::Segment segment) : segment_(std::move(segment)), table_(segment_) {}

    store::Segment segment_;
    store::Table table_;
    std::optional<store::Participant> me_;  // set by open
};

StoreDoors::StoreDoors(const core::Fleet& fleet, Stores& stores) : fleet_(fleet), stores_(stores) {}
StoreDoors::~StoreDoors() = default;

channel::StoreDoor* StoreDoors::door_of(Run run) {
    const auto known = known_.find(run.slot);
    if (known != known_.end() && known->second.generation == run.generation) {
        return known->second.door;
    }
    Door* const door = look_up(run);
    known_[run.slot] = {.generation = run.generation, .door = door};
    return door;
}

StoreDoors::Door* StoreDoors::look_up(Run run) {
    const core::Place* place = fleet_.find(run.slot);
    if (place == nullptr || place->instance.generation != run.generation) return nullptr;
    const auto store = store_of(fleet_.spec_of(*place).launch);
    return store ? open(*store) : nullptr;
}

StoreDoors::Door* StoreDoors::open(const std::string& store) {
    const auto handle = stores_.open(store);
    if (!handle) return nullptr;
    const auto [found, is_new] = doors_.try_emplace(handle->index);
    if (!is_new) return found->second.get();
    if (auto door = Door::open(handle->fd)) {
        found->second = std::move(*door);
    } else {
        log::error(fmt::format("store {}: messages of workers cannot reach it: {}: {}", store,
                               op_name(door.error().op), std::strerror(door.error().code)));
    }
    return found->second.get();
}

}  // namespace cluster::supervisor
