// What is played: every operation, with its rare paths.
#include <cerrno>
#include <cstring>

#include "stage.hpp"
#include "store/areas.hpp"

namespace cluster::store::test {
namespace {

/// So many buckets at the end of the table are few enough to be walked through step by step.
constexpr u64 kLastBuckets = 16;

u64 last_buckets(const Segment& segment) {
    return segment.geometry().buckets.count - kLastBuckets;
}

/// Names of keys that share a bucket: three in the first, three in the second; then two alone.
/// Indices 0 1 2, 3 4 5, 6, 7. The first bucket is at `from` or behind it.
std::vector<std::string> find_keys(const Segment& segment, u64 from = 0) {
    std::vector<std::vector<std::string>> groups(2);
    std::vector<std::string> alone;
    const u64* first = nullptr;
    const u64* second = nullptr;
    for (u64 i = 0; groups[0].size() < 3 || groups[1].size() < 3; ++i) {
        const std::string key = "key " + std::to_string(i);
        const u64* bucket = segment.bucket_of(segment.hash(bytes(key)));
        if (first == nullptr && bucket >= segment.bucket(from)) first = bucket;
        if (bucket == first) {
            if (groups[0].size() < 3) groups[0].push_back(key);
        } else if (second == nullptr || bucket == second) {
            second = bucket;
            if (groups[1].size() < 3) groups[1].push_back(key);
        } else if (alone.size() < 2) {
            alone.push_back(key);
        }
    }
    std::vector<std::string> keys = groups[0];
    keys.insert(keys.end(), groups[1].begin(), groups[1].end());
    keys.insert(keys.end(), alone.begin(), alone.end());
    return keys;
}

/// 100-byte values: entries of the third class, so that descriptors are blocks of another one.
std::string medium(char letter) {
    return value_of(letter, 100);
}

/// Sets these keys, after having used and freed some blocks, so that versions are not all 1.
Step with_keys(std::vector<std::size_t> present, bool are_last = false) {
    return [present, are_last](World& world) {
        world.keys = find_keys(*world.segment, are_last ? last_buckets(*world.segment) : 0);
        for (std::size_t i = 0; i < world.keys.size(); ++i) world.set(i, medium('x'));
        for (const std::string& key : world.keys) (void)world.table.remove(*world.me, bytes(key));
        for (const std::size_t i : present) world.set(i, medium(static_cast<char>('a' + i)));
    };
}

Step set_key(std::size_t key, char letter, std::size_t size = 100) {
    return [key, value = value_of(letter, size)](World& world) { world.set(key, value); };
}
Step remove_key(std::size_t key) {
    return [key](World& world) { (void)world.table.remove(*world.me, bytes(world.keys[key])); };
}
Step increment_key(std::size_t key) {
    return
        [key](World& world) { (void)world.table.increment(*world.me, bytes(world.keys[key]), 1); };
}

/// Fills the private stack of hints as an earlier life would have.
void warm_up(World& world) {
    world.set(7, medium('w'));
    (void)world.table.remove(*world.me, bytes(world.keys[7]));
}

void set_expired(World& world, std::size_t key, std::size_t size = 100) {
    world.set(key, value_of('e', size), std::chrono::milliseconds{1});
    std::array<std::byte, 8> buffer{};
    while (world.table.get(bytes(world.keys[key]), buffer)) {
    }
}

Step sweep_all() {
    return [](World& world) {
        Cursor cursor;
        // Straight to the bucket: a pass over all of them is 40,000 times the same few
        // instructions.
        const u64* bucket = world.segment->bucket_of(world.segment->hash(bytes(world.keys[0])));
        cursor.bucket = static_cast<u64>(bucket - world.segment->bucket(0));
        Swept swept;
        (void)world.table.sweep(*world.me, cursor, 1, swept);
    };
}

bool is_whole(std::span<const char> value) {
    return std::memcmp(value.data(), value.data() + 1, value.size() - 1) == 0;
}

/// All keys from the last buckets on, with their values.
Step iterate() {
    return [](World& world) {
        Cursor cursor;
        cursor.bucket = last_buckets(*world.segment);
        std::array<std::byte, kMaxKeyBytes> key;
        std::array<char, 512> value;
        for (int i = 0; i < 4; ++i) {
            const auto item =
                world.table.next(cursor, key, std::as_writable_bytes(std::span{value}));
            if (!item) {
                world.complaint = "an iteration failed";
                return;
            }
            if (!*item) return;
            const std::size_t size = (*item)->value.size;
            if (size != 100 || !is_whole(std::span{value}.first(size))) {
                world.complaint = "an iteration met a torn value";
            }
        }
    };
}

Step read_key(std::size_t key, std::size_t expected_size) {
    return [key, expected_size](World& world) {
        std::array<char, 4096> buffer;
        const auto value =
            world.table.get(bytes(world.keys[key]), std::as_writable_bytes(std::span{buffer}));
        if (!value) {
            if (value.error().code != ENOENT) world.complaint = "read failed";
            return;
        }
        if (value->size != expected_size && value->size != 100)
            world.complaint = "read a wrong size";
        if (!is_whole(std::span{buffer}.first(value->size))) {
            world.complaint = "read a torn value";
        }
    };
}

void add_table_scenarios(std::vector<Scenario>& all) {
    const auto add = [&all](const char* name, Step setup, std::vector<Step> steps, Step warm = {}) {
        all.push_back({.name = name, .setup = setup, .warm = warm, .steps = steps});
    };
    add("insert alone", with_keys({}), {set_key(0, 'n')});
    add("insert alone, warm", with_keys({}), {set_key(0, 'n')}, warm_up);
    add("insert alone, hints forgotten", with_keys({3, 4}), {set_key(0, 'n')},
        [](World& world) { forget_hints(*world.segment); });
    add("insert beside one", with_keys({0, 3, 4}), {set_key(1, 'n')});
    add("insert beside two", with_keys({0, 1, 3, 4}), {set_key(2, 'n')}, warm_up);
    add("insert of a class without a chunk", with_keys({0}), {set_key(1, 'n', 3000)});
    add("overwrite alone", with_keys({0, 3}), {set_key(0, 'n')}, warm_up);
    add("overwrite among three", with_keys({0, 1, 2, 3, 4, 5}), {set_key(1, 'n')}, warm_up);
    add("overwrite by another size", with_keys({0, 1, 3, 4}), {set_key(1, 'n', 20)});
    add("overwrite twice", with_keys({0, 1, 3, 4}), {set_key(0, 'n'), set_key(0, 'o')}, warm_up);
    add("remove alone", with_keys({0}), {remove_key(0)});
    add("remove one of two", with_keys({0, 1, 3, 4}), {remove_key(0)}, warm_up);
    add("remove one of three", with_keys({0, 1, 2, 3, 4}), {remove_key(1)}, warm_up);
    add("three operations", with_keys({0, 3, 4, 6}),
        {set_key(1, 'n'), set_key(3, 'o'), remove_key(6), set_key(7, 'p')}, warm_up);
    const Step numbers = [](World& world) {
        with_keys({3, 4})(world);
        world.set(0, "41");
        world.set(1, "98");
    };
    add("increment", numbers, {increment_key(0)}, warm_up);
    add("increment what is not there", with_keys({0}), {increment_key(1)});
    const auto written_down = [](std::size_t key) -> Step {
        return [key](World& world) {
            Attempt attempt{*world.attempt};
            (void)world.table.increment(*world.me, bytes(world.keys[key]), 1, attempt);
        };
    };
    add("increment, written down", numbers, {written_down(0)}, warm_up);
    all.back().is_written_down = true;
    add("increment what is not there, written down", with_keys({0}), {written_down(1)});
    all.back().is_written_down = true;
    add("compare and set", with_keys({0, 3, 4}), {[](World& world) {
            std::array<std::byte, 8> buffer{};
            const auto seen = world.table.get(bytes(world.keys[0]), buffer);
            if (!seen) return;
            (void)world.table.compare_and_set(*world.me, bytes(world.keys[0]), seen->token,
                                              bytes(medium('n')));
        }});
    add("add", with_keys({0, 3, 4}), {[](World& world) {
            (void)world.table.add(*world.me, bytes(world.keys[1]), bytes(medium('n')));
        }},
        warm_up);
    add("replace", with_keys({0, 1, 3, 4}), {[](World& world) {
            (void)world.table.replace(*world.me, bytes(world.keys[1]), bytes(medium('n')));
        }});
    add("take", with_keys({0, 1, 3, 4}), {[](World& world) {
            std::array<std::byte, 200> buffer{};
            (void)world.table.take(*world.me, bytes(world.keys[1]), buffer);
        }},
        warm_up);
    const Step expired = [](World& world) {
        with_keys({1, 3, 4})(world);
        set_expired(world, 0);
    };
    add("overwrite what has expired", expired, {set_key(0, 'n')}, warm_up);
    add("remove what has expired", expired, {remove_key(0)});
    add("read what has expired", expired, {read_key(0, 100)});
    add("sweep what has expired", expired, {sweep_all()}, warm_up);
    add("set to expire", with_keys({1, 3, 4}), {[](World& world) {
            world.set(0, medium('n'), std::chrono::hours{1});
        }},
        warm_up);
    const Step numbers_for_a_while = [](World& world) {
        with_keys({3, 4})(world);
        world.set(0, "41", std::chrono::hours{1});
    };
    add("increment what is to expire", numbers_for_a_while, {increment_key(0)}, warm_up);
    add("read", with_keys({0, 1, 3, 4}), {read_key(1, 100)});
    add("iterate", with_keys({0, 1, 2, 3}, true), {iterate()});
    const Step large = [](World& world) {
        with_keys({1, 3, 4})(world);
        world.set(0, value_of('l', 700));
    };
    add("read a large value", large, {read_key(0, 700)});
    const Step full = [](World& world) {
        with_keys({0, 3, 4})(world);
        const std::string value = value_of('f', 200'000);
        for (int i = 0;
             world.table.set(*world.me, bytes("fill " + std::to_string(i)), bytes(value)); ++i) {
        }
    };
    add("insert into a full store", full, {set_key(1, 'n', 180'000)});
}

std::string name_of(std::size_t size, int number) {
    return "fill " + std::to_string(size) + " " + std::to_string(number);
}

/// Both ways in which the memory of what has expired comes back by itself.
void add_sweep_scenarios(std::vector<Scenario>& all) {
    constexpr std::size_t kSize = 3000;
    const Step full = [](World& world) {
        with_keys({3, 4}, true)(world);
        world.set(1, medium('b'), std::chrono::hours{1});
        world.set(0, value_of('a', kSize));
        for (const std::size_t size : {std::size_t{200'000}, kSize}) {
            const std::string value = value_of('f', size);
            for (int i = 0; world.table.set(*world.me, bytes(name_of(size, i)), bytes(value));
                 ++i) {
            }
        }
        // Nothing had expired yet, or it would be gone now.
        (void)world.table.remove(*world.me, bytes(name_of(kSize, 0)));
        set_expired(world, 0, kSize);
        (void)world.table.set(*world.me, bytes(name_of(kSize, 0)), bytes(value_of('f', kSize)));
    };
    all.push_back({.name = "reclaim in a full store", .setup = full, .steps = {[](World& world) {
                       world.me->page().reclaimed_to = last_buckets(*world.segment);
                       world.set(2, value_of('n', kSize));
                   }},
                   .may_be_refused = true});
    const Step some_expired = [](World& world) {
        with_keys({3, 4}, true)(world);
        world.set(1, medium('b'), std::chrono::hours{1});
        set_expired(world, 0);
    };
    const auto begin = [](World& world) {
        auto sweep = Sweep::begin(*world.segment);
        if (sweep) world.sweep.emplace(std::move(*sweep));
    };
    const auto step_to_last = [begin](World& world) {
        begin(world);
        (void)world.sweep->step(last_buckets(*world.segment));
    };
    all.push_back({.name = "the daemon begins to sweep",
                   .setup = some_expired,
                   .steps = {begin},
                   .joins_itself = true});
    all.push_back({.name = "the daemon ends a sweep",
                   .setup = some_expired,
                   .warm = step_to_last,
                   .steps = {[](World& world) { (void)world.sweep->step(kLastBuckets); }},
                   .joins_itself = true});
}

void add_counter_scenarios(std::vector<Scenario>& all) {
    const auto add = [&all](const char* name, Step setup, std::vector<Step> steps) {
        all.push_back({.name = name, .setup = setup, .steps = steps});
    };
    const Step one = [](World& world) {
        with_keys({0, 3, 4})(world);
        world.counters.open(*world.me, "one")->add(7);
        (void)world.counters.open_striped(*world.me, "striped")->add(*world.me, 7);
    };
    add("open a new counter", one,
        {[](World& world) { (void)world.counters.open(*world.me, "two"); }});
    // Over a block that had something in it.
    add("open a new area", one,
        {[](World& world) { (void)open_area(*world.segment, *world.me, "area", 100); }});
    add("open a new striped counter", one,
        {[](World& world) { (void)world.counters.open_striped(*world.me, "stripes"); }});
    add("change a counter", one,
        {[](World& world) { world.counters.find("one")->exchange(20); },
         [](World& world) {
             const auto counter = world.counters.find("one");
             std::int64_t seen = counter->get();
             (void)counter->compare_exchange(seen, 30);
         }});
    add("add to counters", one,
        {[](World& world) { world.counters.find("one")->add(1); },
         [](World& world) {
             if (const auto striped = world.counters.find_striped("striped")) {
                 (void)striped->add(*world.me, 1);
             }
         }});
}

void add_participant_scenarios(std::vector<Scenario>& all) {
    const auto join = [](World& world) { world.join(); };
    const auto leave = [](World& world) { world.me.reset(); };
    all.push_back({.name = "join and leave",
                   .setup = with_keys({0, 3, 4}),
                   .steps = {join, leave},
                   .joins_itself = true});
    // A slot of somebody who died with two blocks in his hands, and no other slot free for long.
    const Step dead = [](World& world) {
        with_keys({0, 3, 4})(world);
        Participant& me = *world.me;
        Intent& intent = me.intent();
        u64* bucket = world.segment->bucket_of(world.segment->hash(bytes(world.keys[0])));
        store_release(&intent.word, world.segment->offset_of(bucket));
        (void)take_block(me, &intent.fresh[0], 100, Need::ordinary);
        (void)take_block(me, &intent.fresh[1], 40, Need::ordinary);
        // Process 1 never started at this time, so every slot is of the dead.
        Claim claim = Claim::of(load_acquire(&world.segment->slot(me.slot()).claim));
        claim.pid = 1;
        claim.start = 0xABCD;
        for (u32 i = 0; i < world.segment->geometry().participants_count; ++i) {
            store_release(&world.segment->slot(i).claim, claim.word());
        }
        // Leaving would free the slot.
        me.page().joined = 0;
    };
    all.push_back({.name = "join in the place of the dead",
                   .setup = dead,
                   .steps = {join},
                   .joins_itself = true});
    all.push_back({.name = "the daemon settles the dead",
                   .setup = dead,
                   .steps = {[](World& world) { (void)settle_all_dead(*world.segment); }},
                   .joins_itself = true});
}

}  // namespace

std::vector<Scenario> all_scenarios() {
    std::vector<Scenario> all;
    add_table_scenarios(all);
    add_sweep_scenarios(all);
    add_counter_scenarios(all);
    add_participant_scenarios(all);
    return all;
}

}  // namespace cluster::store::test
