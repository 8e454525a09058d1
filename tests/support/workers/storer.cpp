// storer: does to its store what its arguments say, one after the other, says on stdout what came
// of it, and waits. It looks at CLUSTER_STORE and CLUSTER_SOCKET alone, as libcluster does.
//   inherited        "inherited INODE GENERATION" of the descriptor that CLUSTER_STORE names
//   ask              "asked INODE GENERATION" of the one that CLUSTER_SOCKET gives, or "refused
//   ERRNO" join             takes a participant's place: "joined" count NAME       adds 1 to a
//   counter: "NAME VALUE" set KEY VALUE    "set KEY"
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

#include "store/attach.hpp"
#include "store/counters.hpp"
#include "store/participant.hpp"
#include "store/segment.hpp"
#include "store/table.hpp"

namespace {

using namespace std::chrono_literals;
using cluster::store::Segment;

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

std::optional<Segment> inherited() {
    const auto address = cluster::store::parse_store_address(variable("CLUSTER_STORE"));
    if (!address) return std::nullopt;
    auto segment = Segment::attach(address->fd, cluster::store::Access::read_write);
    if (!segment || segment->inode() != address->inode) return std::nullopt;
    if (segment->generation() != address->generation) return std::nullopt;
    return std::move(*segment);
}

void ask() {
    const auto asked = cluster::store::fetch_store(variable("CLUSTER_SOCKET"), 20s);
    if (!asked) {
        std::printf("refused %d\n", asked.error().code);
        return;
    }
    const auto segment = Segment::attach(asked->fd.get(), cluster::store::Access::read_write);
    const bool is_it =
        segment && segment->inode() == asked->inode && segment->generation() == asked->generation;
    std::printf(is_it ? "asked %llu %llu\n" : "asked for another\n",
                static_cast<unsigned long long>(asked->inode),
                static_cast<unsigned long long>(asked->generation));
}

cluster::store::Bytes bytes(const char* text) {
    const std::string_view view{text};
    return std::as_bytes(std::span{view.data(), view.size()});
}

}  // namespace

int main(int argc, char** argv) {
    std::optional<Segment> segment = inherited();
    std::optional<cluster::store::Participant> me;
    const auto join = [&] {
        if (!segment) std::exit(3);
        if (!me) {
            auto joined = cluster::store::Participant::join(*segment);
            if (!joined) std::exit(4);
            me = std::move(*joined);
        }
    };
    for (int i = 1; i < argc; ++i) {
        const std::string what = argv[i];
        if (what == "inherited" && segment) {
            std::printf("inherited %llu %llu\n", static_cast<unsigned long long>(segment->inode()),
                        static_cast<unsigned long long>(segment->generation()));
        } else if (what == "inherited") {
            std::printf("inherited nothing\n");
        } else if (what == "ask") {
            ask();
        } else if (what == "join") {
            join();
            std::printf("joined\n");
        } else if (what == "count" && i + 1 < argc) {
            join();
            cluster::store::Counters counters{*segment};
            const auto counter = counters.open(*me, argv[++i]);
            if (!counter) return 5;
            std::printf("%s %lld\n", argv[i], static_cast<long long>(counter->add(1)));
        } else if (what == "set" && i + 2 < argc) {
            join();
            cluster::store::Table table{*segment};
            if (!table.set(*me, bytes(argv[i + 1]), bytes(argv[i + 2]))) return 6;
            std::printf("set %s\n", argv[i + 1]);
            i += 2;
        } else {
            return 2;
        }
        std::fflush(stdout);
    }
    std::printf("done\n");
    std::fflush(stdout);
    while (true) ::pause();
}
