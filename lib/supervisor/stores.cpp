#include "supervisor/stores.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "conf/values.hpp"
#include "store/participant.hpp"
#include "supervisor/log.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"
#include "sys/shared_memory.hpp"
#include "sys/users.hpp"

namespace cluster::supervisor {
namespace {

store::SegmentOptions options_of(const core::StoreSpec& spec) {
    return {.bytes = spec.size,
            .counters = spec.counters,
            .participants = spec.participants,
            .striped = spec.striped_counters};
}

wire::HeldKey store_key(std::uint16_t index, std::uint64_t generation) {
    return {.kind = wire::HeldKind::store,
            .index = index,
            .slot = wire::kNoSlot,
            .generation = generation};
}

std::string shape_text(const core::StoreSpec& spec) {
    return fmt::format("{}, {} counters, {} striped ones, {} participants",
                       conf::format_size(spec.size), spec.counters, spec.striped_counters,
                       spec.participants);
}

std::string table_name(const std::string& store) {
    return store == core::kDefaultStore ? "[store]" : "[store." + store + "]";
}

}  // namespace

std::uint64_t minimum_store_size(const core::StoreSpec& spec) {
    return store::minimum_bytes(options_of(spec));
}

std::optional<std::string> store_of(const core::Launch& launch) {
    using Kind = core::StoreChoice::Kind;
    switch (launch.store.kind) {
        case Kind::none:
            return std::nullopt;
        case Kind::named:
            return launch.store.name;
        case Kind::automatic:
            break;
    }
    if (!launch.user.empty()) {
        const auto user = sys::find_user(launch.user);
        if (!user || user->uid != sys::current_uid()) return std::nullopt;
    }
    return core::kDefaultStore;
}

std::optional<std::uint16_t> Stores::index_of(const std::string& name) const {
    const std::vector<core::StoreSpec>& stores = records_.daemon().stores;
    for (std::size_t i = 0; i < stores.size(); ++i) {
        if (stores[i].name == name) return static_cast<std::uint16_t>(i);
    }
    return std::nullopt;
}

Result<StoreHandle> Stores::open(const std::string& name) {
    auto index = index_of(name);
    if (!index) {
        if (name != core::kDefaultStore) return fail(Op::store, ENOENT);
        // Written down before it is made: a successor must know its sizes.
        DaemonRecord daemon = records_.daemon();
        daemon.stores.emplace_back();
        records_.store_daemon(std::move(daemon));
        index = index_of(name);
    }
    if (const auto made = find(*index)) return *made;
    return make(*index);
}

std::optional<StoreHandle> Stores::find(std::uint16_t index) const {
    const auto found = made_.find(index);
    if (found == made_.end()) return std::nullopt;
    return found->second.handle;
}

Result<StoreHandle> Stores::make(std::uint16_t index) {
    const core::StoreSpec& spec = records_.daemon().stores[index];
    auto fd = store::create(options_of(spec));
    if (!fd) return tl::unexpected(fd.error());
    // Nobody else has seen it yet: what it says of itself now is what was written.
    auto segment = store::Segment::attach(fd->get(), store::Access::read_write);
    if (!segment) return tl::unexpected(segment.error());
    const std::uint64_t generation = segment->generation();
    keeper_.hold(store_key(index, generation), fd->get());
    log::info(fmt::format("store {}: made, {}", spec.name, shape_text(spec)));
    add(index, std::move(*fd), generation, std::move(*segment));
    return made_.at(index).handle;
}

void Stores::add(std::uint16_t index, sys::UniqueFd fd, std::uint64_t generation,
                 std::optional<store::Segment> segment) {
    const auto file = sys::inspect_memory_file(fd.get());
    const StoreHandle handle{
        .index = index, .fd = fd.get(), .inode = file ? file->inode : 0, .generation = generation};
    Made& made = made_[index];
    made.fd = std::move(fd);
    made.handle = handle;
    made.segment = std::move(segment);
    if (records_.daemon().stores[index].huge_pages == core::HugePages::all) take_memory(made);
}

void Stores::resume(std::vector<HeldDescriptor>& held) {
    const std::vector<core::StoreSpec>& stores = records_.daemon().stores;
    for (HeldDescriptor& item : held) {
        if (item.key.kind != wire::HeldKind::store) continue;
        const std::uint16_t index = item.key.index;
        if (index >= stores.size()) {
            keeper_.drop(item.key);
            continue;
        }
        // Workers may have written into its header meanwhile; that is not asked.
        auto segment = store::Segment::attach_known(item.fd.get(), options_of(stores[index]),
                                                    item.key.generation);
        if (!segment) {
            log::error(
                fmt::format("store {}: {}: {}; workers go on with it, but what the dead "
                            "leave in it stays until others need it",
                            stores[index].name, op_name(segment.error().op),
                            std::strerror(segment.error().code)));
        }
        add(index, std::move(item.fd), item.key.generation,
            segment ? std::optional{std::move(*segment)} : std::nullopt);
    }
    // Whoever died while no supervisor was there.
    is_round_wanted_ = !made_.empty();
}

/// In a job, as it takes about 3 ms a MiB. Done again by each successor: what has its memory
/// already costs next to nothing.
void Stores::take_memory(const Made& made) {
    const std::string& name = records_.daemon().stores[made.handle.index].name;
    static_cast<void>(start_job(made, "--take-memory", [name](const std::string& failure) {
        if (failure.empty()) return;
        log::warn(
            fmt::format("store {}: its memory could not be taken at once ({}); it is taken as it "
                        "is used",
                        name, failure));
    }));
}

/// This program again, for the segment. False: there is no descriptor for it.
bool Stores::start_job(const Made& made, const char* what, Jobs::Done done) {
    auto fd = sys::duplicate(made.fd.get());
    if (!fd) return false;
    jobs_.start({fmt::format("/proc/{}/exe", sys::current_pid()), what,
                 std::to_string(records_.daemon().stores[made.handle.index].size)},
                std::move(done), std::move(*fd));
    return true;
}

/// Nobody is woken for it: a store is looked at when this process is awake anyway.
void Stores::use_huge_pages(std::uint16_t index, Made& made, Instant now) {
    HugeUse& huge = made.huge;
    const bool is_wanted = records_.daemon().stores[index].huge_pages == core::HugePages::used;
    if (!is_wanted || huge.is_running || huge.is_refused || now < huge.next_look_at) return;
    huge.next_look_at = now + kUseInterval;
    const auto file = sys::inspect_memory_file(made.fd.get());
    if (!file) return;
    const std::uint64_t needed = std::max(kLeastGrowth, huge.put_bytes / 8);
    if (file->used_bytes < huge.put_bytes + needed) return;
    huge.put_bytes = file->used_bytes;
    start_huge_pages(index, made);
}

void Stores::start_huge_pages(std::uint16_t index, Made& made) {
    made.huge.is_running = true;
    const bool has_begun =
        start_job(made, "--use-huge-pages", [this, index](const std::string& failure) {
            Made& done = made_.at(index);
            done.huge.is_running = false;
            // Filling up the pieces is no growth.
            const auto file = sys::inspect_memory_file(done.fd.get());
            if (file) done.huge.put_bytes = std::max(done.huge.put_bytes, file->used_bytes);
            done.huge.is_refused = !failure.empty();
            if (!done.huge.is_refused) return;
            log::debug(fmt::format("store {}: no huge pages ({})",
                                   records_.daemon().stores[index].name, failure));
        });
    if (!has_begun) made.huge.is_running = false;
}

std::optional<std::string> Stores::mistake_in(const std::vector<core::StoreSpec>& described) const {
    std::size_t count = records_.daemon().stores.size();
    for (const core::StoreSpec& spec : described) {
        const auto index = index_of(spec.name);
        if (!index) ++count;
        if (!index || !find(*index)) continue;
        const core::StoreSpec& present = records_.daemon().stores[*index];
        if (spec.has_same_shape(present)) continue;
        return fmt::format(
            "its {} table ({}) differs from the running store ({}), which cannot change while it "
            "is there: shut the daemon down first, or take the change back",
            table_name(spec.name), shape_text(spec), shape_text(present));
    }
    if (count > core::kMaxStores) {
        return fmt::format("with it there would be more than {} stores", core::kMaxStores);
    }
    return std::nullopt;
}

void Stores::describe(const std::vector<core::StoreSpec>& described) {
    DaemonRecord daemon = records_.daemon();
    for (const core::StoreSpec& spec : described) {
        if (const auto index = index_of(spec.name)) {
            daemon.stores[*index] = spec;
        } else {
            daemon.stores.push_back(spec);
        }
    }
    if (daemon.stores == records_.daemon().stores) return;
    const std::vector<core::StoreSpec> before = records_.daemon().stores;
    records_.store_daemon(std::move(daemon));
    for (const auto& [index, made] : made_) {
        constexpr auto kAll = core::HugePages::all;
        const core::StoreSpec& spec = records_.daemon().stores[index];
        if (spec.huge_pages == kAll && before[index].huge_pages != kAll) take_memory(made);
    }
}

std::vector<std::string> Stores::names() const {
    std::vector<std::string> names;
    for (const core::StoreSpec& spec : records_.daemon().stores) names.push_back(spec.name);
    return names;
}

bool Stores::is_described(const std::string& name) const {
    return name == core::kDefaultStore || index_of(name).has_value();
}

std::string Stores::unknown_text(const std::string& name) const {
    return fmt::format("there is no store {}: describe it below [store.{}] in a config file", name,
                       name);
}

std::vector<store::Segment*> Stores::segments() {
    std::vector<store::Segment*> segments;
    for (auto& [index, made] : made_) {
        if (made.segment) segments.push_back(&*made.segment);
    }
    return segments;
}

sys::UniqueFd Stores::duplicate_of(const std::string& name) const {
    const auto index = index_of(name);
    const auto made = index ? find(*index) : std::nullopt;
    if (!made) return {};
    return sys::duplicate(made->fd).value_or(sys::UniqueFd{});
}

std::vector<ctl::StoreStatus> Stores::status() const {
    std::vector<ctl::StoreStatus> result;
    const std::vector<core::StoreSpec>& stores = records_.daemon().stores;
    for (std::size_t i = 0; i < stores.size(); ++i) {
        ctl::StoreStatus status{.spec = stores[i]};
        if (const auto made = find(static_cast<std::uint16_t>(i))) {
            status.inode = made->inode;
            status.generation = made->generation;
        }
        result.push_back(std::move(status));
    }
    return result;
}

void Stores::on_exit(std::int32_t pid, std::uint64_t start_ticks) {
    if (made_.empty()) return;
    for (auto& [index, made] : made_) {
        if (!made.segment) continue;
        const store::Settled settled =
            store::settle(*made.segment, {.pid = pid, .start_ticks = start_ticks});
        if (settled.slots == 0) continue;
        log::debug(fmt::format("store {}: process {} left {} participants and {} blocks; settled",
                               records_.daemon().stores[index].name, pid, settled.slots,
                               settled.blocks));
    }
    is_round_wanted_ = true;
}

/// False: the round is over.
bool Stores::look_on(Round& round) {
    const auto found = made_.lower_bound(round.store);
    if (found == made_.end()) return false;
    if (found->first != round.store) round = {.store = found->first, .slot = 0};
    auto& segment = found->second.segment;
    if (segment && round.slot < segment->geometry().participants_count) {
        static_cast<void>(store::settle_all_dead(*segment, round.slot, kSlotsPerTurn));
        round.slot += kSlotsPerTurn;
    } else {
        round = {.store = static_cast<std::uint16_t>(round.store + 1), .slot = 0};
    }
    return true;
}

void Stores::on_time(Instant now) {
    if (!round_ && is_round_wanted_ && (!next_round_at_ || now >= *next_round_at_)) {
        is_round_wanted_ = false;
        round_ = Round{};
        next_round_at_ = now + kRoundInterval;
    }
    if (round_ && !look_on(*round_)) round_.reset();
    for (auto& [index, made] : made_) use_huge_pages(index, made, now);
}

std::optional<Instant> Stores::next_deadline() const {
    if (round_) return Instant{};
    if (!is_round_wanted_) return std::nullopt;
    return next_round_at_.value_or(Instant{});
}

}  // namespace cluster::supervisor
