// The table beside a map of one process behind a mutex.
#include <sys/mman.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/prng.hpp"
#include "measure.hpp"
#include "store/census.hpp"
#include "store/table.hpp"
#include "sys/shared_memory.hpp"

namespace cluster::store::bench {
namespace {

struct Mix {
    const char* name;
    u64 keys;
    std::size_t value_bytes;
    double reads;
};

/// Sixteen bytes, made anew for each operation: a stored key would be one cache miss more for
/// everybody.
struct Key {
    explicit Key(u64 number) {
        const u64 high = number * 0x9E3779B97F4A7C15U;
        std::memcpy(text.data(), &high, 8);
        std::memcpy(text.data() + 8, &number, 8);
    }
    [[nodiscard]] Bytes bytes() const { return std::as_bytes(std::span{text}); }
    std::array<char, 16> text;
};

Bytes bytes_of(const std::string& text) {
    return std::as_bytes(std::span{text.data(), text.size()});
}

struct Filled {
    explicit Filled(const Mix& mix, bool huge) {
        // About twice what the entries need, as a store in use has.
        const u64 bytes = (u64{10} << 20U) + mix.keys * (mix.value_bytes + 96) * 2;
        const SegmentOptions options{.bytes = bytes};
        file = *create(options);
        if (huge) (void)sys::collapse_memory(file.get(), options.bytes);
        segment = std::make_unique<Segment>(*Segment::attach(file.get(), Access::read_write));
        auto me = Participant::join(*segment);
        Table table{*segment};
        const std::string value(mix.value_bytes, 'v');
        for (u64 i = 0; i < mix.keys; ++i) {
            const Key key{i};
            if (!table.set(*me, key.bytes(), bytes_of(value))) std::abort();
            map[std::string(key.text.data(), key.text.size())] = value;
        }
    }
    sys::UniqueFd file;
    std::unique_ptr<Segment> segment;
    std::unordered_map<std::string, std::string> map;
    std::mutex mutex;
};

/// The pages of a process that has run for a while are mapped; those of a forked one are not.
void map_all_pages(const Segment& segment) {
    constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE, Linux 5.14
    (void)::madvise(segment.word_at(0), segment.geometry().bytes, kPopulateWrite);
}

Work table_work(Filled& filled, const Mix& mix, int worker) {
    map_all_pages(*filled.segment);
    auto me = std::make_shared<Participant>(std::move(*Participant::join(*filled.segment)));
    return [me, &filled, mix, prng = Prng{static_cast<u64>(worker) + 7}](u64 operations) mutable {
        Table table{*filled.segment};
        const std::string value(mix.value_bytes, 'w');
        std::array<std::byte, 2048> buffer;
        const auto writes = static_cast<u64>((1 - mix.reads) * 1000);
        for (u64 i = 0; i < operations; ++i) {
            const u64 random = prng.next();
            const Key key{(random >> 20U) % mix.keys};
            if (random % 1000 < writes) {
                (void)table.set(*me, key.bytes(), bytes_of(value));
            } else if (!table.get(key.bytes(), buffer)) {
                std::abort();
            }
        }
    };
}

Work map_work(Filled& filled, const Mix& mix, int worker) {
    return [&filled, mix, prng = Prng{static_cast<u64>(worker) + 7}](u64 operations) mutable {
        const std::string value(mix.value_bytes, 'w');
        std::array<std::byte, 2048> buffer;
        std::string text;
        const auto writes = static_cast<u64>((1 - mix.reads) * 1000);
        for (u64 i = 0; i < operations; ++i) {
            const u64 random = prng.next();
            const Key key{(random >> 20U) % mix.keys};
            text.assign(key.text.data(), key.text.size());
            const std::lock_guard lock{filled.mutex};
            std::string& found = filled.map.find(text)->second;
            if (random % 1000 < writes) {
                found.assign(value);
            } else {
                std::memcpy(buffer.data(), found.data(), found.size());
            }
        }
    };
}

void run_mix(const Mix& mix, int rounds, double target_one, double target_two) {
    Filled filled{mix, false};
    Filled huge{mix, true};
    print_heading(mix.name);
    const auto table = [&](int worker) { return table_work(filled, mix, worker); };
    const auto table_huge = [&](int worker) { return table_work(huge, mix, worker); };
    const auto map = [&](int worker) { return map_work(filled, mix, worker); };
    const auto outcomes = measure({{"unordered_map + mutex, 1 thread", map, 1, true},
                                   {"table, 1 process", table, 1},
                                   {"table, 1 process, huge pages", table_huge, 1},
                                   {"unordered_map + mutex, 2 threads", map, 2, true},
                                   {"table, 2 processes", table, 2},
                                   {"table, 2 processes, huge pages", table_huge, 2}},
                                  400'000, rounds);
    print_outcomes(outcomes);
    print_ratio("table / map, 1", outcomes[1].per_second / outcomes[0].per_second, true,
                target_one);
    print_ratio("table / map, 2", outcomes[4].per_second / outcomes[3].per_second, true,
                target_two);
    print_ratio("table, 2 processes / 1", outcomes[4].per_second / outcomes[1].per_second, true,
                1.8);
}

void print_memory() {
    const Mix mix{"", 100'000, 64, 1};
    Filled filled{mix, false};
    const Census census = take_census(*filled.segment);
    double blocks = 0;
    for (const ClassCensus& one : census.classes) {
        blocks += static_cast<double>(one.used_blocks) * one.block_bytes;
    }
    // The share of the bucket region that so many entries of a full store have.
    const double buckets = 8.0 * kBucketsPerChunk / (static_cast<double>(kChunkBytes) / 128);
    print_heading("memory of a 16-byte key with a 64-byte value");
    std::printf("  blocks and descriptors %.1f, bucket %.1f bytes\n",
                blocks / static_cast<double>(census.keys), buckets);
    print_ratio("bytes of an entry", blocks / static_cast<double>(census.keys) + buckets, false,
                155);
}

}  // namespace

void run_table_rows(int rounds, const char* only) {
    struct Row {
        Mix mix;
        double target_one;
        double target_two;
    };
    const std::array<Row, 4> rows{
        {{{"64 B values, 100,000 keys, 90 % reads", 100'000, 64, 0.9}, 1.6, 5},
         {{"64 B values, 100,000 keys, 50 % reads", 100'000, 64, 0.5}, 1.6, 5},
         {{"1 KiB values, 100,000 keys, 90 % reads", 100'000, 1024, 0.9}, 1.6, 4},
         {{"64 B values, 1,000 keys, 90 % reads", 1'000, 64, 0.9}, 1.0, 2}}};
    for (const Row& row : rows) {
        if (std::strstr(row.mix.name, only) == nullptr) continue;
        run_mix(row.mix, rounds, row.target_one, row.target_two);
    }
    if (*only == '\0') print_memory();
}

}  // namespace cluster::store::bench
