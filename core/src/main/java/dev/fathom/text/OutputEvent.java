package dev.fathom.text;

/** A part of a model's answer, in the order in which it came. */
public sealed interface OutputEvent {

  /**
   * A part of the reasoning.
   *
   * @param text never empty
   */
  record Reasoning(String text) implements OutputEvent {}

  /**
   * A part of the answer proper.
   *
   * @param text never empty
   */
  record Content(String text) implements OutputEvent {}

  /**
   * A complete, well-formed call.
   *
   * @param index number of the call in this answer, from 0
   * @param name the tool
   * @param argumentsJson the arguments, a JSON object as the model wrote it
   */
  record Call(int index, String name, String argumentsJson) implements OutputEvent {}
}
