package dev.fathom;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** The loading of a model in Java Flight Recorder. */
@Name("dev.fathom.ModelLoad")
@Label("Model load")
@Category("Fathom")
@Description("A model was loaded")
@StackTrace(false)
final class LoadEvent extends Event {

  @Label("Model type")
  String modelType = "";

  @Label("Backend")
  String backend = "";

  @Label("Planned memory in bytes")
  long bytes;

  @Label("Context in tokens")
  int contextTokens;
}
