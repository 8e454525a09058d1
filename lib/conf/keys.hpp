// How a table of the config is read: a list of its keys, each with the function that reads the
// value.
//
// The list is the schema: what is not in it is refused, and the nearest name in it is what the
// operator is asked about.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "conf/field.hpp"

namespace cluster::conf {

template <class Target>
struct Key {
    std::string_view name;
    void (*read)(Target& target, const Field& field);
};

template <class Target, std::size_t N>
using Keys = std::array<Key<Target>, N>;

template <class Target, std::size_t N>
[[nodiscard]] std::vector<std::string_view> names_of(const Keys<Target, N>& keys) {
    std::vector<std::string_view> names;
    for (const Key<Target>& key : keys) names.push_back(key.name);
    return names;
}

/// What to add to the refusal of an unknown key.
using Hint = std::string (*)(std::string_view key);

/// Reads one member of the table `table`.
template <class Target, std::size_t N>
void read_member(const Field& member, const std::string& table, const Keys<Target, N>& keys,
                 Target& target, Hint hint = nullptr) {
    const Key<Target>* known = nullptr;
    for (const Key<Target>& key : keys) {
        if (key.name == member.key()) known = &key;
    }
    if (known != nullptr) {
        known->read(target, member);
    } else {
        refuse_unknown(member, table, names_of(keys), hint != nullptr ? hint(member.key()) : "");
    }
}

/// Reads every member of a table in the order of the text. Requires: field's value is a table.
template <class Target, std::size_t N>
void read_table(const Field& field, const Keys<Target, N>& keys, Target& target,
                Hint hint = nullptr) {
    for (const Member& member : field.value().members) {
        read_member(field.inner(member), field.path(), keys, target, hint);
    }
}

}  // namespace cluster::conf
