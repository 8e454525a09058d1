// The table beside a map of one process behind a mutex, and beside what other processes could share.
#include <sys/mman.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/prng.hpp"
#include "measure.hpp"
#include "peers.hpp"
#include "store/census.hpp"
#include "store/table.hpp"
#include "sys/shared_memory.hpp"

namespace cluster::store::bench {
namespace {

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

/// As the daemon keeps a store unless its table says otherwise, or as it is without that.
enum class Pages : std::uint8_t { used, small };

struct Filled {
    Filled(const Mix& mix, Pages pages) {
        // About twice what the entries need, as a store in use has.
        const u64 bytes = (u64{10} << 20U) + mix.keys * (mix.value_bytes + 96) * 2;
        const SegmentOptions options{.bytes = bytes};
        file = *create(options);
        segment = std::make_unique<Segment>(*Segment::attach(file.get(), Access::read_write));
        auto me = Participant::join(*segment);
        Table table{*segment};
        const std::string value(mix.value_bytes, 'v');
        for (u64 i = 0; i < mix.keys; ++i) {
            const Key key{i};
            if (!table.set(*me, key.bytes(), bytes_of(value))) std::abort();
            map[std::string(key.text.data(), key.text.size())] = value;
        }
        // What the daemon's job does with a store that has come to be so full.
        if (pages == Pages::used) {
            (void)sys::collapse_used_memory(file.get(), options.bytes);
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

void run_mix(const Mix& mix, Peers& peers, int rounds) {
    Filled filled{mix, Pages::used};
    Filled small{mix, Pages::small};
    peers.fill(mix);
    std::vector<Subject> subjects;
    for (const int workers : {1, 2}) {
        subjects.push_back({"unordered_map + mutex, threads",
                            [&](int worker) { return map_work(filled, mix, worker); }, workers,
                            true});
        subjects.push_back(
            {"table", [&](int worker) { return table_work(filled, mix, worker); }, workers});
        subjects.push_back({"table, small pages",
                            [&](int worker) { return table_work(small, mix, worker); }, workers});
        for (Subject& peer : peers.table(mix, workers)) subjects.push_back(std::move(peer));
    }
    print_outcomes(mix.name, measure(subjects, 400'000, rounds));
}

void print_memory() {
    const Mix mix{"", 100'000, 64, 1};
    Filled filled{mix, Pages::small};
    const Census census = take_census(*filled.segment);
    double blocks = 0;
    for (const ClassCensus& one : census.classes) {
        blocks += static_cast<double>(one.used_blocks) * one.block_bytes;
    }
    // The share of the bucket region that so many entries of a full store have.
    const double buckets = 8.0 * kBucketsPerChunk / (static_cast<double>(kChunkBytes) / 128);
    print_figure("memory", "bytes of an entry", blocks / static_cast<double>(census.keys) + buckets);
}

}  // namespace

void run_table_rows(int rounds, const char* only) {
    const std::array<Mix, 5> mixes{{{"64 B 90/10", 100'000, 64, 0.9},
                                    {"64 B 50/50", 100'000, 64, 0.5},
                                    {"1 KiB 90/10", 100'000, 1024, 0.9},
                                    {"1 KiB 50/50", 100'000, 1024, 0.5},
                                    {"hot 64 B 90/10", 1'000, 64, 0.9}}};
    Peers peers;
    for (const Mix& mix : mixes) {
        if (std::strstr(mix.name, only) != nullptr) run_mix(mix, peers, rounds);
    }
    if (*only == '\0') print_memory();
}

}  // namespace cluster::store::bench
