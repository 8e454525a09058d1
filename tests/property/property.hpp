// Random lists of moves against an invariant: seeded, printed, and shrunk by halving when one
// fails.
//
// `make(prng)` draws one move, `check(moves)` plays a list and answers with what went wrong or "",
// `show(move)` prints one. CLUSTER_PROPERTY_SEED=N in the environment plays the list of that seed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/prng.hpp"

namespace cluster::test {

/// The shortest failing list that leaving out ever smaller parts leads to.
template <class Move, class Check>
std::vector<Move> shrink(std::vector<Move> moves, Check check) {
    for (std::size_t part = moves.size() / 2; part > 0; part /= 2) {
        for (std::size_t at = 0; at < moves.size();) {
            std::vector<Move> shorter{moves.begin(), moves.begin() + static_cast<long>(at)};
            const std::size_t end = std::min(at + part, moves.size());
            shorter.insert(shorter.end(), moves.begin() + static_cast<long>(end), moves.end());
            if (check(shorter).empty()) {
                at += part;
            } else {
                moves = shorter;
            }
        }
    }
    return moves;
}

/// "" when the property held for every list, else a report with the seed and the shrunk list.
template <class Make, class Check, class Show>
std::string for_all(int lists, std::size_t length, Make make, Check check, Show show) {
    using Move = decltype(make(std::declval<Prng&>()));
    const char* const replay = std::getenv("CLUSTER_PROPERTY_SEED");
    std::uint64_t seed =
        replay != nullptr ? std::strtoull(replay, nullptr, 10) : std::random_device{}();
    for (int list = 0; list < (replay != nullptr ? 1 : lists); ++list, ++seed) {
        Prng prng{seed};
        std::vector<Move> moves;
        for (std::size_t i = 0; i < length; ++i) moves.push_back(make(prng));
        if (check(moves).empty()) continue;
        moves = shrink(moves, check);
        std::ostringstream report;
        report << "CLUSTER_PROPERTY_SEED=" << seed << ": " << check(moves) << "\n";
        for (const Move& move : moves) report << "  " << show(move) << "\n";
        return report.str();
    }
    return "";
}

}  // namespace cluster::test
