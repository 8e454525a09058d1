#include "store/change.hpp"

#include <cerrno>

#include "store/fault.hpp"

namespace cluster::store {

Change::Change(Participant& participant, u64* word, Need need)
    : participant_(participant),
      segment_(participant.segment()),
      intent_(participant.intent()),
      word_(word),
      need_(need) {
    if (!planted(Fault::intent_word_late)) store_release(&intent_.word, segment_.offset_of(word));
}

Change::~Change() {
    if (!planted(Fault::no_rollback)) {
        give_back(kEntry);
        give_back(kDescriptor);
    }
    // The word stays: with no block beside it, it says nothing.
    for (u64& fresh : intent_.fresh) store_release(&fresh, 0);
    for (u64& old : intent_.old) store_release(&old, 0);
}

void Change::move_to(u64* word) {
    word_ = word;
    store_release(&intent_.word, segment_.offset_of(word));
}

void Change::give_back(std::size_t which) {
    Block& block = blocks_[which];
    if (block.granule == 0) return;
    free_block(participant_, block.granule, block.state);
    block = {};
}

Result<u64*> Change::entry_block(u64 bytes) {
    Block& block = blocks_[kEntry];
    if (block.granule == 0) {
        const auto taken = take_block(participant_, &intent_.fresh[kEntry], bytes, need_);
        if (!taken) return tl::unexpected<Error>(taken.error());
        block = *taken;
    }
    return segment_.block(block.granule);
}

Status Change::need_descriptor(u64 references) {
    const u64 bytes = descriptor_bytes(references);
    Block& block = blocks_[kDescriptor];
    if (block.granule != 0 && u64{class_granules(block.size_class)} * kGranuleBytes >= bytes) {
        return {};
    }
    give_back(kDescriptor);
    const auto taken = take_block(participant_, &intent_.fresh[kDescriptor], bytes, need_);
    if (!taken) return tl::unexpected<Error>(taken.error());
    block = *taken;
    return {};
}

/// The word that follows the one of the snapshot. Fills the descriptor where one is needed.
Result<u64> Change::describe(const Snapshot& snapshot, const Edit& edit) {
    std::array<u64, kMaxReferences> references;
    u32 count = 0;
    for (u32 i = 0; i < snapshot.count; ++i) {
        if (i == edit.remove) continue;
        u64 reference = snapshot.references[i];
        if (!Bucket::is_descriptor(snapshot.word)) {
            // A lone entry is referred to without a tag; its hash is read under the snapshot.
            const u64 granule = Reference::granule(reference);
            reference = Reference::of(load_relaxed(segment_.block(granule) + kHashWord), granule);
        }
        references[count++] = reference;
    }
    if (edit.add) {
        if (count == kMaxReferences) return fail(Op::store, ENOSPC);
        references[count++] = Reference::of(edit.hash, entry_granule());
    }
    u64 next = 0;
    if (count <= 1) {
        next =
            Bucket::next(snapshot.word, count == 0 ? 0 : Reference::granule(references[0]), false);
    } else {
        if (const auto ready = need_descriptor(count); !ready) {
            return tl::unexpected<Error>(ready.error());
        }
        const u64 granule = blocks_[kDescriptor].granule;
        u64* descriptor = segment_.block(granule);
        store_relaxed(descriptor + kReferenceCountWord, count);
        for (u32 i = 0; i < count; ++i) {
            store_relaxed(descriptor + kFirstReferenceWord + i, references[i]);
        }
        next = Bucket::next(snapshot.word, granule, true);
    }
    if (planted(Fault::bucket_version_kept)) next -= u64{1} << 29U;
    return next;
}

void Change::name_old(const Snapshot& snapshot, const Edit& edit) {
    if (planted(Fault::missing_old_intent)) return;
    if (edit.remove != kNone) {
        const u64 granule = Reference::granule(snapshot.references[edit.remove]);
        store_release(&intent_.old[kEntry], Incarnation::of(edit.removed_state, granule));
    }
    if (snapshot.descriptor_state != 0) {
        store_release(&intent_.old[kDescriptor],
                      Incarnation::of(snapshot.descriptor_state, Bucket::granule(snapshot.word)));
    }
}

void Change::free_old(const Snapshot& snapshot, const Edit& edit) {
    if (edit.remove != kNone) {
        free_block(participant_, Reference::granule(snapshot.references[edit.remove]),
                   edit.removed_state);
    }
    if (snapshot.descriptor_state != 0) {
        free_block(participant_, Bucket::granule(snapshot.word), snapshot.descriptor_state);
    }
}

Result<bool> Change::publish(const Snapshot& snapshot, const Edit& edit) {
    const auto next = describe(snapshot, edit);
    if (!next) return tl::unexpected<Error>(next.error());
    name_old(snapshot, edit);
    if (planted(Fault::free_before_publish)) free_old(snapshot, edit);
    if (attempt_ != nullptr) {
        attempt_->write(segment_, segment_.offset_of(word_), *next, entry_token(),
                        participant_.slot());
    }
    if (!change_word(word_, snapshot.word, *next)) return false;

    if (planted(Fault::intent_word_late)) {
        store_release(&intent_.word, segment_.offset_of(word_));
    }
    if (planted(Fault::intent_cleared_early)) {
        for (u64& old : intent_.old) store_release(&old, 0);
    }
    free_old(snapshot, edit);
    // What the word refers to now is no longer ours to give back.
    const bool has_descriptor = Bucket::is_descriptor(*next);
    if (edit.add) blocks_[kEntry] = {};
    if (has_descriptor) blocks_[kDescriptor] = {};
    return true;
}

}  // namespace cluster::store
