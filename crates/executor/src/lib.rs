//! Carries a plan out, step by step, with a journal that survives a kill.
