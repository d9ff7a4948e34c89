package dev.fathom;

import dev.fathom.checkpoint.PeftCheckpoint;
import dev.fathom.engine.EngineAdapters;
import dev.fathom.engine.PeftAdapter;
import dev.fathom.program.Linears;
import java.nio.file.Path;

/**
 * Loads adapters for a model.
 *
 * @param engine holds them
 * @param linears where they attach
 */
record ModelAdapters(EngineAdapters engine, Linears linears) {

  void load(String name, Path folder) {
    Checks.adapterName(name);
    load(name, new PeftAdapter(PeftCheckpoint.open(folder), linears));
  }

  void load(String name, PeftAdapter adapter) {
    engine.load(name, adapter.bytes(), () -> adapter.read(name));
  }
}
