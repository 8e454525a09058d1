// What is played: every operation, with its rare paths.
#include <cerrno>
#include <cstring>

#include "stage.hpp"

namespace cluster::store::test {
namespace {

/// Names of keys that share a bucket: three in the first, three in the second; then two alone.
/// Indices 0 1 2, 3 4 5, 6, 7.
std::vector<std::string> find_keys(const Segment& segment) {
    std::vector<std::vector<std::string>> groups(2);
    std::vector<std::string> alone;
    const u64* first = segment.bucket_of(segment.hash(bytes("key 0")));
    const u64* second = nullptr;
    for (u64 i = 0; groups[0].size() < 3 || groups[1].size() < 3; ++i) {
        const std::string key = "key " + std::to_string(i);
        const u64* bucket = segment.bucket_of(segment.hash(bytes(key)));
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
Step with_keys(std::vector<std::size_t> present) {
    return [present](World& world) {
        world.keys = find_keys(*world.segment);
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

void set_expired(World& world, std::size_t key) {
    world.set(key, medium('e'), std::chrono::milliseconds{1});
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
        if (std::memcmp(buffer.data(), buffer.data() + 1, value->size - 1) != 0) {
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
    add("sweep what has expired", expired, {sweep_all()}, warm_up);
    add("read", with_keys({0, 1, 3, 4}), {read_key(1, 100)});
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
    add("open a new striped counter", one,
        {[](World& world) { (void)world.counters.open_striped(*world.me, "stripes"); }});
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
}

}  // namespace

std::vector<Scenario> all_scenarios() {
    std::vector<Scenario> all;
    add_table_scenarios(all);
    add_counter_scenarios(all);
    add_participant_scenarios(all);
    return all;
}

}  // namespace cluster::store::test
